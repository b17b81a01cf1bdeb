using System.Text;
using System.Text.RegularExpressions;

namespace Lamina.Compute.Tests.Fuzzing;

/// <summary>
/// Mutates texts of a language. Guided by outcomes: a text that ends as none before it did (in another error, or in a success of another size) joins the corpus.
/// </summary>
/// <param name="words">Pieces of the language, to be planted anywhere.</param>
internal sealed partial class TextFuzzer(IReadOnlyList<string> seeds, IReadOnlyList<string> words)
{
    private const int LongestText = 20_000;
    private const int LargestCorpus = 4_000;
    private static readonly string[] Numbers = ["0", "-1", "1", "255", "4999", "5000", "65536", "2147483647", "2147483648", "9223372036854775807", "1e308", "-0.0", "1e-400", "99999999999999999999999999"];

    private readonly List<string> _corpus = [.. seeds];
    private readonly HashSet<string> _outcomes = [];

    public int CorpusSize => _corpus.Count;

    /// <param name="outcome">Runs a text; says in short how it ended. What it throws is a find.</param>
    public void Run(FuzzRun run, int iterations, Func<string, string> outcome)
    {
        var random = new Random(run.Seed);
        foreach (string seed in seeds)
        {
            Try(run, seed, outcome);
        }

        while (run.Continues(iterations))
        {
            string text = _corpus[random.Next(_corpus.Count)];
            for (int edits = 1 << random.Next(4); edits > 0; edits--)
            {
                text = Mutate(text, random);
            }

            Try(run, text, outcome);
        }
    }

    private void Try(FuzzRun run, string text, Func<string, string> outcome)
    {
        string ended = "";
        run.Try(() => ended = outcome(text), () => text);
        if (_corpus.Count < LargestCorpus && _outcomes.Add(Particulars().Replace(ended, "")))
        {
            _corpus.Add(text);
        }
    }

    private string Mutate(string text, Random random)
    {
        int at = random.Next(text.Length + 1), length = Math.Min(text.Length - at, 1 << random.Next(8)), to = random.Next(text.Length + 1);
        string piece = text.Substring(at, length);
        string changed = random.Next(10) switch
        {
            0 => text.Remove(at, length),
            1 => text.Insert(to, piece),
            2 => text.Insert(at, words[random.Next(words.Count)]),
            3 => text.Remove(at, length).Insert(at, words[random.Next(words.Count)]),
            4 => Splice(text, at, random),
            5 => text.Remove(at, length).Insert(at, new StringBuilder().Insert(0, piece, 1 << random.Next(9)).ToString()),
            6 => ReplaceNumber(text, random),
            7 => text.Insert(at, ((char)random.Next(random.Next(2) == 0 ? 128 : 65536)).ToString()),
            8 => Wrap(text, random),
            _ => length == 0 ? text : text.Remove(at, 1).Insert(at, ((char)(text[at] ^ (1 << random.Next(7)))).ToString()),
        };
        return changed.Length <= LongestText ? changed : changed[..LongestText];
    }

    private string Splice(string text, int at, Random random)
    {
        string other = _corpus[random.Next(_corpus.Count)];
        return text[..at] + other[random.Next(other.Length + 1)..];
    }

    private static string ReplaceNumber(string text, Random random)
    {
        MatchCollection found = Digits().Matches(text);
        return found.Count == 0 ? text : found[random.Next(found.Count)] is var number
            ? text.Remove(number.Index, number.Length).Insert(number.Index, Numbers[random.Next(Numbers.Length)]) : text;
    }

    /// <summary>Brackets in brackets.</summary>
    private static string Wrap(string text, Random random)
    {
        int start = random.Next(text.Length + 1), end = random.Next(start, text.Length + 1), depth = 1 << random.Next(8);
        (string open, string close) = new[] { ("(", ")"), ("[", "]"), ("{", "}"), ("\"", "\""), ("{\"a\":", "}"), ("{%if 1%}", "{%endif%}") }[random.Next(6)];
        return text[..start] + new StringBuilder().Insert(0, open, depth) + text[start..end] + new StringBuilder().Insert(0, close, depth) + text[end..];
    }

    [GeneratedRegex("[0-9]+")]
    private static partial Regex Digits();

    /// <summary>Numbers and quoted names, which differ without saying anything new.</summary>
    [GeneratedRegex("[0-9]+|'[^']*'|\"[^\"]*\"")]
    private static partial Regex Particulars();
}
