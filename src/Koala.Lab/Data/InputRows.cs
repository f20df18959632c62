using Koala.Lab.Checkpoints;

namespace Koala.Lab.Data;

/// <summary>
/// Reads the rows of a file of prompts or chats, whichever kind of file it is: JSON lines, a JSON array, Parquet, or the files of a data
/// set's folder. Rows are read one after another, so that a file of several gigabytes takes the memory of some rows.
/// </summary>
internal static class InputRows
{
    /// <summary>The rows as objects, with their numbers within their file, counted from 1: that of the line, element or row.</summary>
    /// <param name="path">The file or folder.</param>
    /// <exception cref="KoalaException">A file cannot be read, holds no row, or is damaged.</exception>
    public static IEnumerable<(int Line, JsonSection Row)> Read(string path) => DatasetFolder.FilesOf(path).SelectMany(ReadFile);

    private static IEnumerable<(int Line, JsonSection Row)> ReadFile(string file)
    {
        if (ParquetRows.IsParquet(file)) return ParquetRows.Read(file);
        return JsonArrayFile.IsArray(file) ? JsonArrayFile.Read(file) : JsonLines.Read(file);
    }
}
