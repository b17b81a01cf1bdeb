using Lamina.Compute.Model;
using Lamina.Compute.Templates;
using Lamina.Compute.Tokenization;

namespace Lamina.Coordinator.Models;

/// <summary>
/// What the front needs of a deployed model: its tokenizer and chat template, read once from the file's metadata. Immutable and kept by whoever uses it, so a request
/// that began before the model was removed ends with the vocabulary it began with.
/// </summary>
public sealed record ServedModel(string Name, StoredModel Stored, ModelShape Shape, Tokenizer Tokenizer, ChatPrompt Chat, int ContextLength, long CreatedUnixSeconds)
{
    private const int DefaultContextLimit = 8192;

    /// <summary>Names the weights in answers, so that a caller notices when they change.</summary>
    public string Fingerprint => "lamina-" + Stored.Digest.ToString()[7..19];

    /// <summary>Bytes of the longest token's text: bounds how few tokens a text can have.</summary>
    public int LongestTokenBytes { get; } = Enumerable.Range(0, Tokenizer.VocabularySize).Max(id => Math.Max(1, Tokenizer.Bytes(id, special: true).Length));

    /// <summary>Throws with one clear sentence when the model cannot be served: unknown architecture, tokenizer or template.</summary>
    /// <param name="contextLength">0 = the model's own, at most 8192.</param>
    public static ServedModel Of(string name, StoredModel stored, int contextLength, long nowUnixSeconds)
    {
        ModelShape shape = ModelShape.FromGguf(stored.Metadata);
        Tokenizer tokenizer = Tokenizer.FromGguf(stored.Metadata);
        if (contextLength > shape.ContextLength)
        {
            throw new InvalidDataException($"a context of {contextLength} tokens was asked for, but the model was trained for {shape.ContextLength}");
        }

        return new ServedModel(
            name, stored, shape, tokenizer, ReadTemplate(stored, tokenizer), contextLength > 0 ? contextLength : Math.Min(shape.ContextLength, DefaultContextLimit), nowUnixSeconds);
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
