using System.Text.Json;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Runtime.Machine;
using Koala.Lab.Runtime.Native;

namespace Koala.Lab.Tests.Runtime;

public sealed class DoctorTests
{
    [Fact]
    public void Finds_libtorch_and_measures()
    {
        var report = Doctor.Examine();
        Assert.NotNull(report.LibTorch);
        Assert.True(report.Threads >= 1);
        Assert.InRange(report.MemoryReadGBPerSecond!.Value, 0.1, 10_000);
        Assert.DoesNotContain(report.Findings, f => f.Level == FindingLevel.Error);
    }

    [Fact]
    public void A_missing_libtorch_is_a_finding_with_its_fix_and_nothing_is_measured()
    {
        var report = Doctor.Examine(() =>
            throw new KoalaException("KOALA_LIBTORCH=/none", "holds no libtorch_cpu.so", "name a folder"));
        Assert.Contains(new Finding(FindingLevel.Error, "KOALA_LIBTORCH=/none: holds no libtorch_cpu.so",
            "name a folder"),
            report.Findings);
        Assert.Null(report.LibTorch);
        Assert.Contains(report.VectorBits!.Value, (int[])[128, 256, 512]);
        Assert.Null(report.MemoryReadGBPerSecond);
        Assert.Null(report.Threads);
        Assert.Contains("error    KOALA_LIBTORCH=/none: holds no libtorch_cpu.so. Fix: name a folder.",
            report.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void The_report_is_json_in_camel_case_and_reads_back()
    {
        var report = Doctor.Examine(() => throw new KoalaException("libtorch", "is missing", "restore it"));
        var json = JsonSerializer.Serialize(report, JsonFormat.Document);
        using var document = JsonDocument.Parse(json);
        Assert.Equal("error", document.RootElement.GetProperty("findings")[0].GetProperty("level").GetString());
        Assert.Equal(report.Machine.Cores, document.RootElement.GetProperty("machine").GetProperty("cores").GetInt32());
        Assert.True(document.RootElement.GetProperty("environment").TryGetProperty("KOALA_LIBTORCH", out _));
        Assert.Equal(json,
            JsonSerializer.Serialize(JsonSerializer.Deserialize<DoctorReport>(json, JsonFormat.Document),
                JsonFormat.Document));
    }

    [Fact]
    public void Reads_name_and_instructions_of_the_cpu()
    {
        var cpu = CpuInfo.Parse("processor\t: 0\nmodel name\t: AMD EPYC 9R14\nflags\t\t: fpu avx512_bf16 f16c " +
            "avx512f\n\nprocessor\t: 1\nmodel name\t: other\n");
        Assert.Equal("AMD EPYC 9R14", cpu.Name);
        Assert.Equal(["avx512_bf16", "f16c"], cpu.HalfInstructions);
        Assert.Equal("unknown", CpuInfo.Parse("").Name);
    }

    [Theory]
    [InlineData("build-version", "2.10.0+cpu\n", "2.10.0+cpu")]
    [InlineData("version.py", "from typing import Optional\n__version__ = '2.11.0+cu130'\ndebug = False\n", "2.11.0+cu130")]
    [InlineData("readme", "", null)]
    public void Reads_libtorchs_version_from_the_folder_above(string file, string content, string? version)
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder.At("lib"));
        File.WriteAllText(folder.At(file), content);
        Assert.Equal(version, LibTorchVersion.Find(folder.At("lib"), LibTorch.FolderVariable));
    }

    [Fact]
    public void No_output_folder_holds_a_copy_of_libtorch()
    {
        var copies = Directory.EnumerateFiles(TestFiles.At("src"), "libtorch_cpu.so", SearchOption.AllDirectories);
        Assert.Empty(copies);
    }
}
