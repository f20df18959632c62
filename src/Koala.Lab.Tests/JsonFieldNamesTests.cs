using System.Text.Json;
using Koala.Cli.Output;
using Koala.Lab.Adversary;
using Koala.Lab.Charts.Pages;
using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Hub;
using Koala.Lab.Data;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.Acceptance;
using Koala.Lab.Evaluation.Comparison;
using Koala.Lab.Evaluation.Diagnosis;
using Koala.Lab.Evaluation.Gates;
using Koala.Lab.Evaluation.TreeFitting;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Regeneration;
using Koala.Lab.Results;
using Koala.Lab.Runs;
using Koala.Lab.Runtime.Cuda;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Runtime.Machine;
using Koala.Lab.Sweeps;
using Koala.Lab.Targets;
using Koala.Lab.Training;

namespace Koala.Lab.Tests;

/// <summary>JSON fields keep their names when a member of a C# type is renamed, because files and scripts rely on the names.</summary>
public sealed class JsonFieldNamesTests
{
    public static TheoryData<Type, string> Types => new()
    {
        // Reports.
        {
            typeof(EvaluationReport),
            "target head device dtype weights kernels threads temperature batch acceptance draftLength tree draftLengthChosen " +
            "repeats prompts skipped tokens lossless " +
            "nearTies equalAnswers acceptanceLength positionAcceptance nAlpha treeNodeAcceptance baseline " +
            "speculative speedup predicted breakEven round " +
            "byCategory provenance positionRounds disturbed disturbances load confidenceThreshold calibration byContextLength floor " +
            "draftCandidates"
        },
        { typeof(Calibration), "error bins" },
        { typeof(ContextBin), "from to rounds acceptanceLength" },
        { typeof(CalibrationBin), "confidence accepted tokens" },
        { typeof(TreeReport), "name nodes depth paths topK" },
        { typeof(CandidateReport), "tree acceptanceLength roundMs speedup" },
        { typeof(MeanInterval), "mean low high count" },
        { typeof(MedianInterval), "median low high count" },
        { typeof(Throughput), "tokensPerSecond stepMs" },
        { typeof(MemoryFloor), "gbPerSecond weightBytes stepMs share" },
        { typeof(RoundTimes), "draftMs verifyMs bookkeepingMs" },
        { typeof(AnswerReport), "prompt category turn promptTokens equal baseline speculative" },
        { typeof(AnswerTimes), "tokens rounds accepted prefillSeconds secondsPerToken roundMs committed" },
        { typeof(ComparisonReport), "a b target seeds prompts figures summary" },
        { typeof(ComparedFigure), "name a b isRatio change low high p missing verdict" },
        { typeof(Gate), "command thresholds" },
        { typeof(Threshold), "figure value below above" },
        { typeof(GateReport), "command results passed" },
        { typeof(ThresholdResult), "threshold measured passed" },
        { typeof(DamagedRun), "name fault" },
        { typeof(DataCheck), "files rows used skipped reasons messages tokens" },
        { typeof(SkippedRows), "reason fix rows first" },
        { typeof(ChatTokens), "total learned median longest" },
        { typeof(RunList), "runs damaged" },
        {
            typeof(HeadDiagnosis),
            "head origin featureLayers prompts teacherForced freeRunning references otherFeatures withoutTemplate vocabularyCoverage " +
            "times findings"
        },
        { typeof(ReferenceCurve), "kind layers target source nAlpha" },
        { typeof(HeadlineFigure), "name value note" },
        { typeof(CategoryReport), "category prompts acceptanceLength speedup nAlpha" },
        {
            typeof(BreakEvenReport),
            "target head device dtype weights kernels threads temperature batch draftLength aloneMs breakEven round byDraftLength " +
            "provenance disturbed disturbances load acceptanceFrom predictionError acceptanceLengthError"
        },
        { typeof(CostReport), "rate trainingRate currency heads" },
        { typeof(HeadCost), "head target device alone withHead isFaster trainingHours training paysAfterTokens" },
        { typeof(ServingCost), "tokensPerSecond hoursPerMillionTokens perMillionTokens" },
        { typeof(LayersReport), "head layers provenance" },
        { typeof(LayerRow), "layers parameters bytes report added" },
        { typeof(BreakEvenRow), "draftLength round breakEven acceptanceLength speedup" },
        { typeof(StepCost), "aloneMs shapes" },
        { typeof(TreeCost), "nodes draftMs verifyMs bookkeepingMs roundMs" },
        {
            typeof(TreeFitReport),
            "target head device dtype weights kernels threads by prompts skipped places tree chain aloneTokensPerSecond byNodes paths " +
            "provenance " +
            "disturbed disturbances load"
        },
        { typeof(FittedTree), "nodes depth acceptanceLength roundMs tokensPerSecond" },
        { typeof(RegenerationReport), "chats answers tokens cut shortened skipped seconds tokensPerSecond" },
        { typeof(HubPull), "repo revision commit path target files" },
        { typeof(PulledFile), "name size hash downloaded" },
        {
            typeof(ModelConfig),
            "rotaryDim rotaryFactor slidingWindow windowLayers localRopeTheta unrotatedLayers activation embeddingScale " +
            "normsAddOne outputNorms " +
            "attentionScale attentionSoftCap logitSoftCap fusedProjections " +
            "architecture modelType hiddenSize intermediateSize layers heads keyValueHeads headDim " +
            "vocabularySize rmsNormEps ropeTheta ropeScaling " +
            "contextLength tieWordEmbeddings attentionBias queryKeyNorm dtype beginOfSequenceId endOfSequenceIds"
        },

        // Answers and their traces.
        { typeof(Generation), "promptTokens tokens text finish seconds prefillSeconds rounds" },
        { typeof(Round), "drafted accepted draftMs verifyMs bookkeepingMs depth levels bonus candidates" },
        { typeof(LevelAcceptance), "children kept" },
        { typeof(TracedToken), "token text p" },
        { typeof(TracedCandidate), "token text parent p q accepted" },
        { typeof(BatchTimes), "prefill steps host" },

        // The machine.
        {
            typeof(DoctorReport),
            "koala machine libTorch device gpus cudaGraphs kernels halfInstructions vectorBits memoryReadGBPerSecond threads environment " +
            "findings"
        },
        { typeof(LibTorchInfo), "version builtFor folder origin bindingsMended" },
        { typeof(Finding), "level what mend" },
        { typeof(MachineInfo), "cpu cores memoryBytes os dotNet gpu" },
        { typeof(Gpu), "name memoryBytes" },
        { typeof(MachineLoad), "loadAverage otherCores waitingShare stolenShare" },

        // Runs and heads.
        {
            typeof(RunRecord),
            "formatVersion kind command options optionsHash seeds commit packages machine device dtype started ended state failure"
        },
        { typeof(Provenance), "command commit machine libTorch prompts promptsHash measured" },
        { typeof(GitCommit), "hash clean" },
        { typeof(LockHolder), "processId host started" },
        { typeof(TargetIdentity), "name hiddenSize vocabularySize embeddingHash" },
        { typeof(TrainingPlan), "data validation head training withControls target dtype device threads targetIdentity dataHash" },
        {
            typeof(TrainingOptions),
            "steps batch rowLength losses firstErrorFocus confidenceWeight trainingTimeTest featureNoise learningRate schedule warmup " +
            "beta1 beta2 weightDecay clip clipBy adversary seed " +
            "validateEvery validationAnswers saveEvery"
        },
        { typeof(LossTerm), "name weight decay" },
        { typeof(SweepRecord), "formatVersion plan planHash threads started" },
        { typeof(SweepSummary), "target device cells finished failed rows trainingSeconds" },
        {
            typeof(SweepRow),
            "options layers seeds acceptanceLength speedup tokensPerSecond heldOutAccuracy trainingSeconds lossless disturbed cells"
        },
        { typeof(SweepFigure), "mean low high missing" },
        {
            typeof(AdversaryOptions),
            "weight judges with topTokens positions loss gradientPenalty balance warmup lowestAccuracy highestAccuracy width " +
            "spectralNorm learningRate"
        },
        { typeof(MedusaOptions), "layers heads tied ownLmHeads markovRank confidence" },
        {
            typeof(EagleOptions),
            "layers draftVocabulary fusedFeatures bias architecture fusedLayers ownLmHead normBeforeResidual normBeforeFc " +
            "featureNorms normOutput confidence fusionWeights window decoder"
        },
        {
            typeof(EagleDecoderSizes),
            "heads keyValueHeads headDim intermediateSize rmsNormEps ropeTheta ropeScaling attentionBias queryKeyNorm"
        },
        {
            typeof(RegenerationRecord),
            "target tokenizer dtype prompts promptsHash limit system maxTokens temperature topK topP seed"
        },
        { typeof(RegeneratedAnswer), "row turn tokens done content" },
    };

    [Theory, MemberData(nameof(Types))]
    public void A_type_has_the_fields_that_its_files_have(Type type, string fields)
    {
        var properties = JsonFormat.Document.GetTypeInfo(type).Properties;
        var written = properties.Where(property => property.Get is not null).Select(property => property.Name);
        Assert.Equal(fields.Split(' ').Order(StringComparer.Ordinal), written.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_report_of_doctor_is_written_as_it_was_read()
    {
        var text = File.ReadAllText(TestFiles.At("docs", "results", "doctor.json"));
        var report = JsonSerializer.Deserialize<DoctorReport>(text, JsonFormat.Document);
        Assert.Equal(text.TrimEnd(), JsonSerializer.Serialize(report, JsonFormat.Document));
    }
}
