using Koala.Lab.Results;
using nietras.SeparatedValues;

namespace Koala.Cli.Export;

/// <summary>
/// Renders tables as CSV after RFC 4180: commas, a line of names, quotes where they are needed; no value is an empty field.
/// </summary>
internal static class Csv
{
    public static string Render(ResultTable table)
    {
        using var text = new StringWriter { NewLine = "\n" };
        using (var writer = Sep.New(',').Writer(options => options with { Escape = true }).To(text))
        {
            foreach (var row in table.Rows)
            {
                using var line = writer.NewRow();
                foreach (var (name, value) in table.Columns.Zip(row)) line[name].Set(ResultText.Exact(value));
            }
        }
        return text.ToString();
    }
}
