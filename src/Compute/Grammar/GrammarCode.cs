namespace Lamina.Compute.Grammar;

/// <summary>
/// The rules as one array: an element is the index of a byte set (0 and up), a call of a rule (its complement, below 0), or <see cref="End"/> behind each
/// alternative.
/// </summary>
internal sealed class GrammarCode
{
    public const int End = int.MaxValue;

    public required int[] Elements { get; init; }

    /// <summary>First element of each alternative of each rule.</summary>
    public required int[][] Alternatives { get; init; }

    public required ByteSet[] Sets { get; init; }

    public required int Root { get; init; }

    /// <summary>Bytes that no set tells apart share a class: [256], and how many classes there are.</summary>
    public required byte[] ClassOfByte { get; init; }

    public required int Classes { get; init; }

    public static GrammarCode Link(IReadOnlyList<List<List<int>>> rules, ByteSet[] sets, int root)
    {
        List<int> elements = [];
        int[][] alternatives = new int[rules.Count][];
        for (int rule = 0; rule < rules.Count; rule++)
        {
            alternatives[rule] = new int[rules[rule].Count];
            for (int i = 0; i < rules[rule].Count; i++)
            {
                alternatives[rule][i] = elements.Count;
                elements.AddRange(rules[rule][i]);
                elements.Add(End);
            }
        }

        byte[] classOfByte = Classify(sets, out int classes);
        return new GrammarCode
        {
            Elements = [.. elements], Alternatives = alternatives, Sets = sets, Root = root, ClassOfByte = classOfByte, Classes = classes,
        };
    }

    /// <summary>Refines the bytes by each set in turn, until bytes of one class are in the same sets.</summary>
    private static byte[] Classify(ByteSet[] sets, out int classes)
    {
        int[] classOf = new int[256];
        classes = 1;
        foreach (ByteSet set in sets)
        {
            Dictionary<(int, bool), int> refined = [];
            for (int value = 0; value < 256; value++)
            {
                (int, bool) key = (classOf[value], set.Contains((byte)value));
                if (!refined.TryGetValue(key, out int index))
                {
                    refined[key] = index = refined.Count;
                }

                classOf[value] = index;
            }

            classes = refined.Count;
        }

        return [.. classOf.Select(value => (byte)value)];
    }
}
