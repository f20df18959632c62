// The whole set-up of a notebook in the clone: its first cell is #load "_setup.csx".
// Koala's own kernel contains the library. Another .NET kernel loads it here; build it first with
// dotnet build -c Release src/Koala.Lab
#r "../src/Koala.Lab/bin/Release/net10.0/Koala.Lab.dll"
#r "../src/Koala.Lab/bin/Release/net10.0/TorchSharp.dll"
#r "../src/Koala.Lab/bin/Release/net10.0/Microsoft.Data.Analysis.dll"

global using Koala.Lab;
global using Koala.Lab.Adversary;
global using Koala.Lab.Charts;
global using Koala.Lab.Data;
global using Koala.Lab.Decoding;
global using Koala.Lab.Decoding.Cost;
global using Koala.Lab.Decoding.Trace;
global using Koala.Lab.Drafting;
global using Koala.Lab.Drafting.Trees;
global using Koala.Lab.Evaluation;
global using Koala.Lab.Evaluation.Acceptance;
global using Koala.Lab.Evaluation.Comparison;
global using Koala.Lab.Evaluation.Gates;
global using Koala.Lab.Evaluation.TreeFitting;
global using Koala.Lab.Heads;
global using Koala.Lab.Heads.Eagle;
global using Koala.Lab.Heads.Learning;
global using Koala.Lab.Heads.Medusa;
global using Koala.Lab.Regeneration;
global using Koala.Lab.Results;
global using Koala.Lab.Runs;
global using Koala.Lab.Runtime;
global using Koala.Lab.Runtime.Machine;
global using Koala.Lab.Runtime.Native;
global using Koala.Lab.Sweeps;
global using Koala.Lab.Targets;
global using Koala.Lab.Text.Chat;
global using Koala.Lab.Text.Tokenizers;
global using Koala.Lab.Training;
global using System.IO;
global using System.Text.Json.Nodes;
global using TorchSharp;

// This must run before anything uses TorchSharp.
LibTorch.EnsureLoaded();
NotebookFormatters.Register(typeof(Microsoft.DotNet.Interactive.Formatting.Formatter));
