using Lamina.Compute.Gguf;
using Lamina.Cluster.Messages;
using Lamina.Compute.Model;
using Lamina.Compute.Model.Adapters;
using Lamina.Compute.Templates;
using Lamina.Compute.Tokenization;
using Lamina.Compute.ToolCalls;

namespace Lamina.Coordinator.Models;

/// <summary>
/// What the front needs of a deployed model: its tokenizer and chat template, read once from the file's metadata. Immutable and kept by whoever uses it, so a request
/// that began before the model was removed ends with the vocabulary it began with.
/// </summary>
public sealed record ServedModel(string Name, StoredModel Stored, ModelShape Shape, Tokenizer Tokenizer, ChatPrompt Chat, int ContextLength, long CreatedUnixSeconds)
{
    private const int DefaultContextLimit = 8192;

    /// <summary>Encoders keep buffers for a whole text.</summary>
    private const int DefaultEncoderLimit = 2048;

    private readonly (int Id, string Text)[] _controls =
        [.. Enumerable.Range(0, Tokenizer.VocabularySize).Where(Tokenizer.IsControl).Select(id => (id, Tokenizer.Decode([id], special: true)))];

    /// <summary>Whether it continues texts; one that does not embeds them.</summary>
    public bool Generates => Shape.HasLogits;

    /// <summary>Whether the file says how the rows of a text become its embedding.</summary>
    public bool Embeds => Shape.Pooling != PoolingKind.None;

    /// <summary>Shorter lengths that its embeddings may be cut to.</summary>
    public IReadOnlyList<int> EmbeddingDimensions { get; init; } = [];

    /// <summary>Adapters that its pipelines hold, in the order in which they number them.</summary>
    public IReadOnlyList<AdapterOffer> Adapters { get; init; } = [];

    /// <summary>Names the weights in answers, so that a caller notices when they change.</summary>
    public string Fingerprint => "lamina-" + Stored.Digest.ToString()[7..19];

    /// <summary>Bytes of the longest token's text: bounds how few tokens a text can have.</summary>
    public int LongestTokenBytes { get; } = Enumerable.Range(0, Tokenizer.VocabularySize).Max(id => Math.Max(1, Tokenizer.Bytes(id, special: true).Length));

    /// <summary>How the model writes calls of tools, told from its template.</summary>
    public ToolFormat ToolFormat { get; } = ToolFormats.Of(TemplateOf(Stored));

    /// <summary>The chat template's text; empty where the file has none.</summary>
    public string Template { get; } = TemplateOf(Stored);

    /// <summary>Cache that a sequence of so many positions takes, over all layers.</summary>
    public long KvBytes(int positions) =>
        (positions + KvCache.BlockPositions - 1) / KvCache.BlockPositions * Enumerable.Range(0, Shape.LayerCount).Sum(layer => Shape.KvBlockBytes(layer, KvType));

    /// <summary>How keys and values are kept.</summary>
    public GgmlType KvType { get; init; } = GgmlType.F16;

    public bool TakesTools { get; } = TemplateOf(Stored).Contains("tools", StringComparison.Ordinal);

    /// <summary>Control tokens that a reader wants to see by their texts.</summary>
    public IReadOnlySet<int> ControlTokens(Func<string, bool> wanted) => _controls.Where(token => wanted(token.Text)).Select(token => token.Id).ToHashSet();

    private static string TemplateOf(StoredModel stored) =>
        stored.Metadata.FindString("tokenizer.chat_template.tool_use") ?? stored.Metadata.FindString("tokenizer.chat_template") ?? "";

    /// <summary>Throws with one clear sentence when the model cannot be served: unknown architecture, tokenizer or template.</summary>
    /// <param name="contextLength">0 = the model's own, at most 8192, of an encoder 2048.</param>
    public static ServedModel Of(string name, StoredModel stored, int contextLength, long nowUnixSeconds)
    {
        ModelShape shape = ModelShape.FromGguf(stored.Metadata);
        Tokenizer tokenizer = Tokenizer.FromGguf(stored.Metadata);
        if (contextLength > shape.ContextLength)
        {
            throw new InvalidDataException($"a context of {contextLength} tokens was asked for, but the model was trained for {shape.ContextLength}");
        }

        return new ServedModel(
            name, stored, shape, tokenizer, ReadTemplate(stored, tokenizer), contextLength > 0 ? contextLength : Math.Min(shape.ContextLength, shape.IsCausal ? DefaultContextLimit : DefaultEncoderLimit), nowUnixSeconds);
    }

    /// <summary>Gives <paramref name="draft"/> back when it can guess for this model; throws <see cref="InvalidDataException"/> with one sentence otherwise.</summary>
    public StoredModel RequireDraft(StoredModel draft) =>
        !Generates || !ModelShape.FromGguf(draft.Metadata).HasLogits ? throw new InvalidDataException("a draft model helps only a model that generates text, and must generate text itself")
        : SharedVocabulary.Difference(Tokenizer, Tokenizer.FromGguf(draft.Metadata)) is { } difference ? throw new InvalidDataException($"the draft model has another vocabulary: {difference}")
        : draft;

    /// <summary>An imported file that changes this model. Throws <see cref="InvalidDataException"/> or <see cref="NotSupportedException"/> with one sentence when it does not.</summary>
    public StoredModel RequireAdapter(StoredModel adapter)
    {
        AdapterShape shape = AdapterShape.FromGguf(adapter.Metadata);
        if (shape.Architecture != Shape.Architecture)
        {
            throw new InvalidDataException($"the adapter is made for architecture '{shape.Architecture}', the model has '{Shape.Architecture}'");
        }

        HashSet<string> inModel = [.. Stored.Manifest.Tensors.Select(tensor => tensor.Name)], inAdapter = [.. adapter.Manifest.Tensors.Select(tensor => tensor.Name)];
        HashSet<string> known = [.. AdapterShape.TensorNames(Shape, new LayerRange(0, Shape.LayerCount), inModel.Contains, inAdapter.Contains)];
        return inAdapter.FirstOrDefault(name => !known.Contains(name)) is { } foreign
            ? throw new InvalidDataException($"the adapter holds '{foreign}', which changes no matrix of this model")
            : adapter;
    }

    private static ChatPrompt ReadTemplate(StoredModel stored, Tokenizer tokenizer)
    {
        try
        {
            return ChatPrompt.FromMetadata(stored.Metadata, tokenizer);
        }
        catch (TemplateException e)
        {
            throw new InvalidDataException($"the model's chat template cannot be used: {e.Message}", e);
        }
    }
}
