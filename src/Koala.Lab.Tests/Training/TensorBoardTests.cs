using System.Buffers.Binary;
using System.Text;
using Koala.Lab.Runs;
using Koala.Lab.Training;

namespace Koala.Lab.Tests.Training;

/// <summary>The event files of a run, read by a parser of their format: records with masked CRC-32C, and protobuf.</summary>
public sealed class TensorBoardTests
{
    [Fact]
    public void An_event_file_has_the_metrics_of_each_step_once()
    {
        using var run = new TinyRun();
        TrainingRun.Start(run.Folder, ShippedModels.Nano, TinyModels.Data, TinyRun.Pair, ["train"], new TensorBoardProgress());
        AssertHasMetrics(run.Folder);
        // The control is a run of its own.
        AssertHasMetrics(run.Control);
    }

    [Fact]
    public void A_run_that_is_resumed_goes_on_without_doubled_steps()
    {
        using var run = new TinyRun();
        var stop = new CancellationTokenSource();
        var next = new Callback(report =>
        {
            if (report.Metrics.Step == 7) stop.Cancel();
        });
        Assert.Throws<OperationCanceledException>(() => TrainingRun.Start(run.Folder, ShippedModels.Nano, TinyModels.Data, TinyRun.Plan,
            ["train"], new TensorBoardProgress(next: next), stop.Token));
        Assert.Equal(7, Events(run.Folder).Max(e => e.Step));
        // As if the process had been killed: its last steps are in the event file, but not in a saved state.
        using var killed = run.Killed();
        foreach (var state in Directory.GetDirectories(killed.Folder.CheckpointsFolder)) Directory.Delete(state, recursive: true);
        TrainingRun.Resume(killed.Folder, ShippedModels.Nano, TinyModels.Data, new TensorBoardProgress(begin: false));
        AssertHasMetrics(killed.Folder);
        Assert.Equal(12, Events(killed.Folder).Max(e => e.Step));
    }

    [Fact]
    public void A_run_without_event_files_gets_none_when_it_is_resumed()
    {
        using var run = new TinyRun();
        run.Interrupt(3);
        TrainingRun.Resume(run.Folder, ShippedModels.Nano, TinyModels.Data, new TensorBoardProgress(begin: false));
        Assert.False(Directory.Exists(run.Folder.TensorBoardFolder));
    }

    [Fact]
    public void A_folder_that_cannot_be_written_is_named()
    {
        using var run = new TinyRun();
        var failed = Assert.Throws<KoalaException>(() =>
        {
            File.WriteAllText(run.Folder.TensorBoardFolder, "a file");
            TrainingRun.Start(run.Folder, ShippedModels.Nano, TinyModels.Data, TinyRun.Plan, ["train"], new TensorBoardProgress());
        });
        Assert.Contains("tensorboard: cannot be written", failed.Message, StringComparison.Ordinal);
    }

    private static void AssertHasMetrics(RunFolder folder)
    {
        var expected = MetricsLog.Read(folder.MetricsFile)
            .SelectMany(line => line.Values.Where(value => double.IsFinite(value.Value)).Select(v => (line.Step, v.Key, (float)v.Value)));
        Assert.Equal(expected.Order(), Events(folder).Select(e => (e.Step, e.Tag, e.Value)).Order());
        var started = folder.ReadRecord().Started.ToUnixTimeSeconds();
        Assert.All(Events(folder), e => Assert.InRange(e.Time, started, started + 600));
    }

    private static List<(int Step, string Tag, float Value, double Time)> Events(RunFolder folder)
    {
        var file = Assert.Single(Directory.GetFiles(folder.TensorBoardFolder));
        Assert.Contains("tfevents", file, StringComparison.Ordinal);
        var records = Records(File.ReadAllBytes(file)).ToArray();
        // Event.file_version (field 3) of the first record.
        var version = Fields(records[0]).Single(field => field.Number == 3);
        Assert.Equal("brain.Event:2", Encoding.UTF8.GetString(version.Bytes));
        return [.. records[1..].SelectMany(Scalars)];
    }

    // A record: length (8 bytes), its checksum, data, its checksum.
    private static IEnumerable<byte[]> Records(byte[] bytes)
    {
        for (var at = 0; at < bytes.Length;)
        {
            var length = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(at));
            Assert.Equal(MaskedChecksum(bytes.AsSpan(at, 8)), BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at + 8)));
            var data = bytes[(at + 12)..(at + 12 + length)];
            Assert.Equal(MaskedChecksum(data), BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at + 12 + length)));
            yield return data;
            at += 16 + length;
        }
    }

    // CRC-32C, bit by bit, rotated and offset as the format asks for.
    private static uint MaskedChecksum(ReadOnlySpan<byte> data)
    {
        var crc = uint.MaxValue;
        foreach (var value in data)
        {
            crc ^= value;
            for (var bit = 0; bit < 8; bit++) crc = (crc & 1) == 0 ? crc >> 1 : (crc >> 1) ^ 0x82F63B78;
        }
        crc = ~crc;
        return unchecked(((crc >> 15) | (crc << 17)) + 0xA282EAD8);
    }

    // Event: wall_time 1, step 2, summary 5. Summary: value 1. Value: tag 1, simple_value 2.
    private static IEnumerable<(int Step, string Tag, float Value, double Time)> Scalars(byte[] data)
    {
        var fields = Fields(data).ToArray();
        var time = BitConverter.ToDouble(fields.Single(field => field.Number == 1).Bytes);
        var step = (int)fields.Single(field => field.Number == 2).Varint;
        foreach (var value in fields.Where(field => field.Number == 5).SelectMany(summary => Fields(summary.Bytes)))
        {
            var parts = Fields(value.Bytes).ToArray();
            yield return (step, Encoding.UTF8.GetString(parts.Single(part => part.Number == 1).Bytes),
                BitConverter.ToSingle(parts.Single(part => part.Number == 2).Bytes), time);
        }
    }

    private static IEnumerable<(int Number, ulong Varint, byte[] Bytes)> Fields(byte[] message)
    {
        for (var at = 0; at < message.Length;)
        {
            var key = Varint(message, ref at);
            var number = (int)(key >> 3);
            switch (key & 7)
            {
                case 0: yield return (number, Varint(message, ref at), []); continue;
                case 1: yield return (number, 0, message[at..(at + 8)]); at += 8; continue;
                case 5: yield return (number, 0, message[at..(at + 4)]); at += 4; continue;
                default:
                    var length = (int)Varint(message, ref at);
                    yield return (number, 0, message[at..(at + length)]);
                    at += length;
                    continue;
            }
        }
    }

    private static ulong Varint(byte[] message, ref int at)
    {
        ulong value = 0;
        for (var shift = 0; ; shift += 7)
        {
            var part = message[at++];
            value |= (ulong)(part & 0x7f) << shift;
            if (part < 0x80) return value;
        }
    }

    private sealed class Callback(Action<TrainingProgress> callback) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => callback(value);
    }
}
