using System.Reflection;
using Koala.Lab.Charts.Tables;
using Microsoft.Data.Analysis;

namespace Koala.Lab.Charts;

/// <summary>
/// Registers formatters in a .NET kernel for data frames, which are not Koala's types and carry no attribute. Koala's own types need no
/// registration.
/// </summary>
public static class NotebookFormatters
{
    private static readonly string[] s_mimeTypes = ["text/html", "text/plain"];

    /// <summary>Registers a table in HTML and in plain text as the display of <see cref="DataFrame"/>.</summary>
    /// <param name="formatter">
    /// The kernel's <c>Microsoft.DotNet.Interactive.Formatting.Formatter</c>, which the library does not refer to.
    /// </param>
    /// <exception cref="KoalaException">The type does not have the methods of Formatter.</exception>
    public static void Register(Type formatter)
    {
        var register = Method(formatter, "Register", typeof(Type), typeof(Action<object, TextWriter>), typeof(string));
        var prefer = Method(formatter, "SetPreferredMimeTypesFor", typeof(Type), typeof(string[]));
        Register("text/html", frame => DataFrameText.From(frame).ToHtml());
        Register("text/plain", frame => DataFrameText.From(frame).ToString());
        prefer.Invoke(null, [typeof(DataFrame), s_mimeTypes]);

        void Register(string mimeType, Func<DataFrame, string> text)
        {
            Action<object, TextWriter> write = (frame, writer) => writer.Write(text((DataFrame)frame));
            register.Invoke(null, [typeof(DataFrame), write, mimeType]);
        }
    }

    private static MethodInfo Method(Type formatter, string name, params Type[] parameters) =>
        formatter.GetMethod(name, BindingFlags.Public | BindingFlags.Static, parameters)
        ?? throw new KoalaException(formatter.FullName ?? formatter.Name, $"has no method {name} with the expected parameters",
            "use Microsoft.DotNet.Interactive.Formatting 1.0.0-beta.23562.1");
}
