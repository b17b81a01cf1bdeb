using Lamina.Cluster.Messages;
using Lamina.Compute.Devices;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Tokenization;

namespace Lamina.Node.Pipeline;

internal static class StageSetup
{
    private static readonly TimeSpan s_warmUp = TimeSpan.FromMilliseconds(150);

    /// <summary>Loads and warms a stage. Throws as <see cref="Stage.Load"/> and, at the tail, <see cref="Tokenizer.FromGguf"/> do.</summary>
    /// <param name="metadata">Where the tail finds its tokenizer; null = it does without.</param>
    /// <param name="draft">Guesses for the head; owned from here on.</param>
    /// <param name="device">Null for the processor, which draft models always use.</param>
    public static StageExecutor Load(
        ITensorSource tensors, ModelShape shape, LayerRange layers, StageSettings settings, GgufMetadata? metadata, Action<long, long>? progress, DraftModel? draft = null, ComputeDevice? device = null)
    {
        try
        {
            return LoadOwning(tensors, shape, layers, settings, metadata, progress, draft, device);
        }
        catch
        {
            draft?.Dispose();
            throw;
        }
    }

    /// <summary>Loads the whole of a small model to guess beside the head of a large one. Throws as <see cref="Stage.Load"/>, and <see cref="NotSupportedException"/> for a model that cannot guess.</summary>
    public static DraftModel LoadDraft(ITensorSource tensors, ModelShape draft, ModelShape shape, StageSettings settings)
    {
        if (!draft.IsCausal)
        {
            throw new NotSupportedException("the draft model is an encoder; one that decodes is needed");
        }

        var model = new DraftModel(Stage.Load(tensors, draft, new LayerRange(0, draft.LayerCount), DraftModel.Options(Options(settings))), settings.ContextLength, shape.VocabularySize);
        model.WarmUp();
        return model;
    }

    private static StageExecutor LoadOwning(
        ITensorSource tensors, ModelShape shape, LayerRange layers, StageSettings settings, GgufMetadata? metadata, Action<long, long>? progress, DraftModel? draft, ComputeDevice? device)
    {
        bool needsTokenizer = layers.End == shape.LayerCount && metadata?.FindString("tokenizer.ggml.model") is not null;
        Tokenizer? tokenizer = needsTokenizer ? Tokenizer.FromGguf(metadata!) : null;
        var executor = new StageExecutor(Stage.Load(tensors, shape, layers, Options(settings, device), progress), settings, tokenizer) { Draft = draft };
        try
        {
            executor.WarmUp(s_warmUp);
            return executor;
        }
        catch
        {
            executor.Dispose();
            throw;
        }
    }

    /// <summary>What the settings of a plan mean for a stage of this process. Throws <see cref="ArgumentException"/> naming the setting, its value and what is allowed.</summary>
    public static StageOptions Options(StageSettings settings, ComputeDevice? device = null)
    {
        Require(settings.ContextLength >= 1, nameof(settings.ContextLength), settings.ContextLength, "at least 1");
        Require(settings.KvBlocks >= 1, nameof(settings.KvBlocks), settings.KvBlocks, "at least 1");
        Require(settings.MaxBatchRows is >= 1 and <= 65_536, nameof(settings.MaxBatchRows), settings.MaxBatchRows, "1 to 65536");
        Require(settings.MaxSequences >= 1 && settings.MaxSequences <= settings.MaxBatchRows, nameof(settings.MaxSequences), settings.MaxSequences, $"1 to {settings.MaxBatchRows} (MaxBatchRows)");
        Require(settings.PrefillChunk >= 1, nameof(settings.PrefillChunk), settings.PrefillChunk, "at least 1");
        Require(settings.Threads is >= 0 and <= 1024, nameof(settings.Threads), settings.Threads, "0 (all cores) to 1024");
        Require(settings.DraftTokens is >= 0 and <= 64, nameof(settings.DraftTokens), settings.DraftTokens, "0 (none) to 64");
        Require(GgmlTypes.IsKnown((GgmlType)settings.KvType), nameof(settings.KvType), settings.KvType, "a GGML type's number");
        return new StageOptions
        {
            Device = device ?? ComputeDevice.Cpu,
            ContextLength = settings.ContextLength,
            KvBlocks = settings.KvBlocks,
            KvType = (GgmlType)settings.KvType,
            MaxBatchRows = settings.MaxBatchRows,
            MaxSequences = settings.MaxSequences,
            Threads = settings.Threads == 0 ? Environment.ProcessorCount : settings.Threads,
        };
    }

    private static void Require(bool holds, string setting, int value, string allowed)
    {
        if (!holds)
        {
            throw new ArgumentException($"{setting} is {value}, allowed is {allowed}");
        }
    }
}
