using System.Globalization;
using Koala.Benchmarks;
using Koala.Lab;
using Koala.Lab.Runtime.Native;

// dotnet run -c Release --project src/Koala.Benchmarks -- steps --target TARGET [--repeats 100 --threads 2] --out FILE
//     times a target's steps on the CPU, in turns with llama.cpp's
// dotnet run -c Release --project src/Koala.Benchmarks -- training RUNS FILE    summarises the training runs in a folder
// dotnet run -c Release --project src/Koala.Benchmarks -- batch --target TARGET --prompts FILE [--device cpu --dtype fp32 --batch 64
// --count 200
//     --max-tokens 320 --temperature 0 --repeats 2] --out FILE                  compares large batches with batch 1
// dotnet run -c Release --project src/Koala.Benchmarks -- report RESULTS FILE   writes the page of measurements from result files
// This comes before any use of TorchSharp, which would otherwise load its own libtorch.
LibTorch.EnsureLoaded();
try
{
    switch (args)
    {
        case ["steps", "--target", var target, .. var options, "--out", var file]:
            var given = options.Chunk(2).ToDictionary(pair => pair[0], pair => int.Parse(pair[^1], CultureInfo.InvariantCulture));
            int? threads = given.TryGetValue("--threads", out var count) ? count : null;
            var steps = StepTimes.Measure(target, given.GetValueOrDefault("--repeats", 100), threads, args);
            steps.Save(file);
            Console.WriteLine(steps);
            return 0;
        case ["training", var runs, var file]:
            TrainingTimes.Load(runs).Save(file);
            return 0;
        case ["batch", .., "--out", var file]:
            var rates = BatchRates.Measure(args);
            rates.Save(file);
            Console.WriteLine(rates);
            return 0;
        case ["report", var results, var file]:
            MeasurementsPage.Write(results, file);
            return 0;
        default:
            Console.Error.WriteLine("usage: steps --target TARGET --out FILE | training RUNS FILE "
                + "| batch --target TARGET --prompts FILE … --out FILE | report RESULTS FILE");
            return 2;
    }
}
catch (KoalaException e)
{
    Console.Error.WriteLine(e.Message);
    return 2;
}
