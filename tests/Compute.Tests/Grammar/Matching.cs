using Lamina.Compute.Grammar;
using Lamina.Compute.Tokenization;

namespace Lamina.Compute.Tests.Grammar;

/// <summary>Runs texts through constraints.</summary>
internal static class Matching
{
    private static readonly Tokenizer Bytes = new LetterTokenizer();

    /// <summary>Whether the whole text belongs to the grammar; each prefix must be allowed by the mask as it is by the matching.</summary>
    public static bool Accepts(CompiledGrammar grammar, string text)
    {
        TokenConstraint constraint = new(grammar, Bytes);
        foreach (int id in Bytes.Encode(text))
        {
            float[] logits = new float[Bytes.VocabularySize];
            constraint.ApplyMask(logits);
            if (logits[id] != 0)
            {
                Assert.Throws<InvalidDataException>(() => constraint.Accept(id));
                return false;
            }

            constraint.Accept(id);
        }

        float[] last = new float[Bytes.VocabularySize];
        constraint.ApplyMask(last);
        Assert.Equal(constraint.IsComplete, last[Bytes.Eos!.Value] == 0);
        return constraint.IsComplete;
    }

    /// <summary>A text drawn at random, ended as soon as <paramref name="patience"/> bytes are over and the grammar allows it.</summary>
    public static string Draw(CompiledGrammar grammar, Random random, int patience = 200)
    {
        TokenConstraint constraint = new(grammar, Bytes);
        List<int> emitted = [];
        float[] logits = new float[Bytes.VocabularySize];
        while (true)
        {
            Array.Clear(logits);
            constraint.ApplyMask(logits);
            int[] allowed = [.. Enumerable.Range(0, logits.Length).Where(id => logits[id] == 0)];
            Assert.NotEmpty(allowed);
            bool mayEnd = allowed[^1] == Bytes.Eos;
            if (mayEnd && (allowed.Length == 1 || emitted.Count > patience || random.Next(4) == 0))
            {
                return Bytes.Decode([.. emitted]);
            }

            // closing characters get a bigger share with time, so that texts end
            int[] closing = [.. allowed.Where(id => id is '"' or '}' or ']')];
            int[] pool = emitted.Count > patience && closing.Length > 0 ? closing : allowed[..(mayEnd ? ^1 : ^0)];
            emitted.Add(pool[random.Next(pool.Length)]);
            constraint.Accept(emitted[^1]);
            Assert.True(emitted.Count < 100_000);
        }
    }
}
