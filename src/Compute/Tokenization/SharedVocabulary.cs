namespace Lamina.Compute.Tokenization;

/// <summary>Whether the token ids of one model mean the same to another, as they must where one guesses for the other.</summary>
public static class SharedVocabulary
{
    /// <summary>Models of one family are padded to different sizes; further apart they are no family.</summary>
    private const int MaxSizeDifference = 128;

    /// <summary>The sentence that tells where two vocabularies part; null when every id that both have stands for the same bytes.</summary>
    public static string? Difference(Tokenizer one, Tokenizer other)
    {
        if (Math.Abs(one.VocabularySize - other.VocabularySize) > MaxSizeDifference)
        {
            return $"one has {one.VocabularySize} tokens, the other {other.VocabularySize}";
        }

        for (int id = 0; id < Math.Min(one.VocabularySize, other.VocabularySize); id++)
        {
            if (one.IsControl(id) != other.IsControl(id) || !one.Bytes(id, special: true).SequenceEqual(other.Bytes(id, special: true)))
            {
                return $"token {id} is not the same in both";
            }
        }

        return null;
    }
}
