using System.CommandLine;

namespace Koala.Cli.Help;

/// <summary>
/// The examples at the end of each command's help, under the name of the command below <c>koala</c>. They work in a clone of Koala, with
/// the names in capitals filled in; a test runs those that are quick and need no network.
/// </summary>
internal static class Examples
{
    private const string Mini = "--target checkpoints/koala-mini";
    private const string MiniHead = $"{Mini} --head checkpoints/koala-mini-eagle-k2";

    private static readonly Dictionary<string, string[]> s_examples = new()
    {
        ["koala"] =
        [
            "demo",
            $"generate {MiniHead} --prompt \"Why is the sky blue?\"",
            "run notebooks/01-quickstart.ipynb --html quickstart.html",
        ],
        ["demo"] = ["demo", "demo --prompt \"Write a story about a robot.\""],
        ["doctor"] = ["doctor", "doctor --json"],
        ["pull"] =
        [
            "pull HuggingFaceTB/SmolLM2-135M-Instruct",
            "pull HuggingFaceTB/SmolLM2-135M-Instruct config.json --revision main",
        ],
        ["push"] =
        [
            "push runs/RUN org/koala-mini-eagle --licence apache-2.0 --dry-run",
            "push runs/RUN org/koala-mini-eagle --licence apache-2.0 --base-model org/koala-mini --private",
        ],
        ["inspect"] =
        [
            "inspect checkpoints/koala-mini",
            "inspect checkpoints/koala-mini-eagle-k2 --json",
            $"inspect checkpoints/koala-mini-eagle-k2 {Mini}",
        ],
        ["export"] =
        [
            $"export checkpoints/koala-mini-eagle-k2 {Mini} --format eagle --out koala-mini-for-vllm",
            $"export runs/RUN {Mini} --format speculators --out koala-mini-eagle3",
        ],
        ["tokenize"] =
        [
            "tokenize checkpoints/koala-mini --text \"Why is the sky blue?\"",
            "tokenize checkpoints/koala-mini --json < README.md",
        ],
        ["data"] = ["data check data/chats-validation.jsonl.gz", "data check CHATS.parquet --target checkpoints/koala-mini --json"],
        ["data check"] =
        [
            "data check data/chats-validation.jsonl.gz",
            "data check data/chats-validation.jsonl.gz --target checkpoints/koala-mini --json",
        ],
        ["generate"] =
        [
            $"generate {Mini} --prompt \"Why is the sky blue?\"",
            $"generate {MiniHead} --prompt \"Why is the sky blue?\" --trace rounds",
            $"generate {Mini} --head prompt-lookup --prompts data/mt-bench.jsonl --limit 2 --json",
        ],
        ["regenerate"] =
        [
            $"regenerate {Mini} --prompts data/mt-bench.jsonl --limit 4 --out answers.jsonl",
            $"regenerate {Mini} --prompts data/mt-bench.jsonl --limit 4 --out sampled.jsonl.gz --temperature 0.7 --seed 1",
        ],
        ["train"] =
        [
            $"train {Mini} --head medusa --layers 2 --data data/chats-train.jsonl.gz",
            $"train {Mini} --head eagle --data data/chats-train.jsonl.gz --adversary-weight 0.1 --with-controls none,acceptance",
            "train --resume runs/RUN --evaluate data/mt-bench.jsonl",
        ],
        ["evaluate"] =
        [
            $"evaluate {MiniHead} --prompts data/mt-bench.jsonl",
            $"evaluate {Mini} --head prompt-lookup --prompts data/mt-bench.jsonl --limit 20 --json",
            $"evaluate {Mini} --head checkpoints/koala-mini-eagle-k2 --prompts data/mt-bench.jsonl --by-layer",
        ],
        ["sweep"] =
        [
            $"sweep {Mini} --data data/chats-train.jsonl.gz --layers 1,2,3 --seeds 0-4 --adversary-weight 0,0.1 "
                + "--evaluate-prompts data/mt-bench.jsonl --evaluate-draft-length 4",
            "sweep PLAN.json --processes 2",
            "sweep --out sweeps/FOLDER",
        ],
        ["compare"] =
        [
            "compare k1.json k2.json",
            "compare checkpoints/koala-mini-eagle-k1 checkpoints/koala-mini-eagle-k2 --target checkpoints/koala-mini "
                + "--prompts data/mt-bench.jsonl --limit 40",
        ],
        ["cost"] =
        [
            "cost k1.json k2.json --rate 2.50",
            "cost runs/RUN --rate 0.40 --training-rate 3.20 --currency EUR --json",
        ],
        ["gate"] = ["gate gate.json --create --report k2.json --below 2%", "gate gate.json", "gate gate.json --report new.json"],
        ["fit-tree"] =
        [
            $"fit-tree {MiniHead} --prompts data/spec-bench.jsonl.gz --limit 40 --out tree.json",
            $"fit-tree {MiniHead} --prompts data/spec-bench.jsonl.gz --limit 40 --nodes 24 --by acceptance --out tree24.json",
        ],
        ["runs"] =
        [
            "runs",
            "runs --where \"layers>=2 and state=finished\" --sort acceptanceLength --descending",
            "runs --columns name,training.learningRate,loss --json",
        ],
        ["runs export"] =
        [
            "runs export --format parquet --rows steps --out steps.parquet",
            "runs export --format mlflow --out mlruns",
        ],
        ["report"] = ["report runs/RUN --out run.html", "report runs --out runs.html", "report k2.json"],
        ["bundle"] = ["bundle --out koala-bundle", "bundle --out koala-bundle --json"],
        ["run"] =
        [
            "run notebooks/01-quickstart.ipynb --html quickstart.html",
            "run notebooks/01-quickstart.ipynb -p steps=200 --output quickstart.ipynb",
        ],
        ["kernel"] = ["kernel install", "kernel start --connection-file FILE"],
        ["kernel install"] = ["kernel install"],
        ["kernel start"] = ["kernel start --connection-file FILE"],
        ["lab"] = ["lab notebooks/01-quickstart.ipynb", "lab -- --no-browser"],
    };

    /// <summary>The examples of a command, without the name of the program.</summary>
    public static IReadOnlyList<string> Of(Command command) =>
        s_examples.GetValueOrDefault(CommandName.OfHelp(command).Replace("koala ", "", StringComparison.Ordinal), []);
}
