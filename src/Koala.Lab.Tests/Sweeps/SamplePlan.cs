using System.Text.Json.Nodes;
using Koala.Lab.Sweeps;
using Koala.Lab.Tests.Cli;

namespace Koala.Lab.Tests.Sweeps;

/// <summary>Plans that are small enough for a test: koala-nano, a few chats, a few steps.</summary>
internal static class SamplePlan
{
    /// <summary>The fields that all plans have; the folder gets a file of chats.</summary>
    public static JsonObject Fields(TemporaryFolder folder)
    {
        var chats = folder.At("few.jsonl");
        if (!File.Exists(chats)) DisturbedTraining.WriteFewChats(chats);
        return new JsonObject
        {
            ["target"] = ShippedModels.Folder("koala-nano"),
            ["threads"] = 1,
            ["base"] = new JsonObject
            {
                ["data"] = chats,
                ["validation"] = chats,
                ["steps"] = 6,
                ["saveEvery"] = 2,
                ["validateEvery"] = 3,
                ["rowLength"] = 64,
                ["heads"] = 2,
            },
        };
    }

    /// <summary>Adds an evaluation of twelve short answers.</summary>
    public static JsonObject WithEvaluation(this JsonObject plan)
    {
        plan["evaluate"] = JsonNode.Parse("""{"limit": 12, "maxTokens": 6, "draftLength": 2}""");
        plan["evaluate"]!["prompts"] = TestFiles.At("data", "mt-bench.jsonl");
        return plan;
    }

    /// <summary>Sets a field from JSON.</summary>
    public static JsonObject With(this JsonObject plan, string key, string json)
    {
        plan[key] = JsonNode.Parse(json);
        return plan;
    }

    public static SweepPlan Read(this JsonObject plan) => SweepPlan.Create(plan);
}
