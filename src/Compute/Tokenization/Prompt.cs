namespace Lamina.Compute.Tokenization;

/// <summary>What goes around a text that a model is to continue.</summary>
public static class Prompt
{
    /// <summary>
    /// Ids of a whole prompt: BOS before and EOS behind where the model wants them, unless the text (a chat template's, say) already has them.
    /// </summary>
    /// <param name="trusted">As in <see cref="Tokenizer.Encode"/>: only text in these ranges may be control tokens, so a user cannot stand in for the BOS.</param>
    public static int[] Build(Tokenizer tokenizer, string text, IReadOnlyList<Range>? trusted = null)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        int[] ids = tokenizer.Encode(text, trusted);
        int? bos = tokenizer.AddBos && (ids.Length == 0 || ids[0] != tokenizer.Bos) ? tokenizer.Bos : null;
        int? eos = tokenizer.AddEos && (ids.Length == 0 || ids[^1] != tokenizer.Eos) ? tokenizer.Eos : null;
        return bos is null && eos is null ? ids : [.. OneOrNone(bos), .. ids, .. OneOrNone(eos)];
    }

    private static int[] OneOrNone(int? id) => id is { } value ? [value] : [];
}
