using System.Security.Cryptography;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Data;

/// <summary>
/// The files of a data set's folder as the hub has them: those in the folder itself or, where there are none, in its folder <c>data</c>.
/// If the names of some say that they are for training, they are the ones.
/// </summary>
internal static class DatasetFolder
{
    private static readonly string[] s_endings = [".parquet", ".jsonl", ".json", ".jsonl.gz", ".json.gz"];

    // What lies beside the data in such folders.
    private static readonly string[] s_others = ["dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json"];

    /// <summary>The files in the order of their names; the path itself if it is no folder.</summary>
    /// <exception cref="KoalaException">The folder has no such file.</exception>
    public static IReadOnlyList<string> FilesOf(string path)
    {
        if (!Directory.Exists(path)) return [path];
        string[] files = [.. DataIn(path)];
        if (files.Length == 0) files = [.. DataIn(Path.Combine(path, "data"))];
        if (files.Length == 0)
            throw new KoalaException(path, $"is a folder without data: it has no file that ends in {string.Join(", ", s_endings)}",
                "name a file, or a data set's folder");
        string[] training = [.. files.Where(file => Path.GetFileName(file).Contains("train", StringComparison.OrdinalIgnoreCase))];
        return training.Length > 0 ? training : files;
    }

    /// <summary>The SHA-256 of the content in hex: that of the file, or of those of the folder's files together.</summary>
    public static string Sha256(string path) => FilesOf(path) is [var file]
        ? InputFile.Sha256(file)
        : Convert.ToHexStringLower(SHA256.HashData([.. FilesOf(path).SelectMany(each => Convert.FromHexString(InputFile.Sha256(each)))]));

    private static IEnumerable<string> DataIn(string folder) => !Directory.Exists(folder) ? [] : Directory.EnumerateFiles(folder)
        .Where(file => s_endings.Any(ending => file.EndsWith(ending, StringComparison.OrdinalIgnoreCase)))
        .Where(file => !s_others.Contains(Path.GetFileName(file)))
        .Order(StringComparer.Ordinal);
}
