using System.Reflection;
using Koala.Lab.Charts.Tables;
using Microsoft.Data.Analysis;

namespace Koala.Lab.Charts;

/// <summary>Tells a .NET kernel how to show types that are not Koala's and therefore carry no attribute: data frames. Koala's own types need no call.</summary>
public static class NotebookFormatters
{
    private static readonly string[] s_shown = ["text/html", "text/plain"];

    /// <summary>Registers a table in HTML and in plain text for <see cref="DataFrame"/>.</summary>
    /// <param name="formatter">The kernel's <c>Microsoft.DotNet.Interactive.Formatting.Formatter</c>, which the library does not refer to.</param>
    /// <exception cref="KoalaException">The type has not the methods of Formatter.</exception>
    public static void Register(Type formatter)
    {
        var register = Method(formatter, "Register", typeof(Type), typeof(Action<object, TextWriter>), typeof(string));
        var prefer = Method(formatter, "SetPreferredMimeTypesFor", typeof(Type), typeof(string[]));
        Register("text/html", frame => DataFrameText.From(frame).ToHtml());
        Register("text/plain", frame => DataFrameText.From(frame).ToString());
        prefer.Invoke(null, [typeof(DataFrame), s_shown]);

        void Register(string mimeType, Func<DataFrame, string> text) =>
            register.Invoke(null, [typeof(DataFrame), (Action<object, TextWriter>)((frame, writer) => writer.Write(text((DataFrame)frame))), mimeType]);
    }

    private static MethodInfo Method(Type formatter, string name, params Type[] parameters) =>
        formatter.GetMethod(name, BindingFlags.Public | BindingFlags.Static, parameters)
        ?? throw new KoalaException(formatter.FullName ?? formatter.Name, $"has no method {name} as it is known", "use Microsoft.DotNet.Interactive.Formatting 1.0.0-beta.23562.1");
}
