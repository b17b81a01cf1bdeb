namespace Lamina.Compute.Tokenization.Vocabularies;

/// <summary>Tokens arranged for matching at a position, with bounds that keep the matching linear.</summary>
internal static class PrefixTokens
{
    public static ByteTrie Build(Vocabulary vocabulary, Predicate<int> include)
    {
        var trie = new ByteTrie();
        long total = 0;
        for (int id = 0; id < vocabulary.Count; id++)
        {
            ReadOnlySpan<byte> text = vocabulary.Text(id);
            if (text.IsEmpty || !include(id))
            {
                continue;
            }

            total += text.Length;
            if (text.Length > TokenizerLimits.PrefixTokenBytes || total > TokenizerLimits.PrefixTokensBytes)
            {
                throw new InvalidDataException(
                    $"the tokens have {total} bytes up to token {id} of {text.Length} bytes, expected at most {TokenizerLimits.PrefixTokensBytes} and {TokenizerLimits.PrefixTokenBytes}");
            }

            trie.Add(text, id);
        }

        return trie;
    }

    /// <summary>The longest token that the text begins with, or -1.</summary>
    public static int Longest(ByteTrie trie, ReadOnlySpan<byte> text, out int length)
    {
        int token = -1;
        length = 0;
        int node = 0;
        for (int i = 0; i < text.Length; i++)
        {
            node = trie.Child(node, text[i]);
            if (node == 0)
            {
                break;
            }

            if (trie.Value(node) >= 0)
            {
                token = trie.Value(node);
                length = i + 1;
            }
        }

        return token;
    }
}
