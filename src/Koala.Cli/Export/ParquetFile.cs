using Koala.Lab.Results;
using Parquet;
using Parquet.Schema;

namespace Koala.Cli.Export;

/// <summary>Writes a table as a Parquet file: a column of numbers, of texts, or of true and false, each of which may be null.</summary>
internal static class ParquetFile
{
    public static void Write(ResultTable table, Stream stream) => WriteAsync(table, stream).GetAwaiter().GetResult();

    private static async Task WriteAsync(ResultTable table, Stream stream)
    {
        DataField[] fields = [.. table.Columns.Select((name, i) => new DataField(name, TypeOf(table, i), isNullable: true))];
        await using var writer = await ParquetWriter.CreateAsync(new ParquetSchema(fields), stream);
        using var group = writer.CreateRowGroup();
        foreach (var (i, field) in fields.Index())
        {
            var values = table.Rows.Select(row => row[i]);
            if (field.ClrType == typeof(double)) await group.WriteAsync<double>(field, values.Select(value => (double?)value).ToArray());
            else if (field.ClrType == typeof(bool)) await group.WriteAsync<bool>(field, values.Select(value => (bool?)value).ToArray());
            else await group.WriteAsync(field, values.Select(value => value is null ? null! : ResultText.Exact(value)).ToArray());
        }
    }

    // A column whose values are not all of one kind holds texts.
    private static Type TypeOf(ResultTable table, int column)
    {
        Type[] types = [.. table.Rows.Select(row => row[column]?.GetType()).OfType<Type>().Distinct()];
        return types is [var only] ? only : typeof(string);
    }
}
