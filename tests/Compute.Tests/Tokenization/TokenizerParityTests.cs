using System.Diagnostics;
using System.Text.Json;
using Lamina.Compute.Gguf;
using Lamina.Compute.Tokenization;
using Lamina.TestSupport;

namespace Lamina.Compute.Tests.Tokenization;

/// <summary>
/// Compares with llama.cpp on random texts. Runs under <c>./test --parity</c>, which installs the peer and names its folder in LAMINA_PARITY_PEER; more vocabularies than
/// the reference ones may be named in LAMINA_PARITY_VOCABULARIES, separated by colons.
/// </summary>
public sealed class TokenizerParityTests(ITestOutputHelper output)
{
    private const int TextsOfVocabulary = 10_000;
    private const int TextsOfRule = 2_000;

    [Fact]
    public void Encode_RandomTexts_GivesWhatLlamaCppGives()
    {
        string? peer = Environment.GetEnvironmentVariable("LAMINA_PARITY_PEER");
        Assert.SkipWhen(peer is null, "compares with llama.cpp only under ./test --parity");
        string[] vocabularies = Environment.GetEnvironmentVariable("LAMINA_PARITY_VOCABULARIES")?.Split(':')
            ?? [.. Directory.GetFiles(Repository.Shared("tokenizers"), "*.gguf").Order(), Repository.File("models/lamina-tiny-q8_0.gguf")];

        int differences = vocabularies.Sum(path => Compare(peer!, path, Path.GetFileName(path), TextsOfVocabulary));
        Assert.Equal(0, differences);
    }

    /// <summary>Every splitting rule on one vocabulary: what a rule cuts shows in the ids.</summary>
    [Fact]
    public void Encode_EveryPreTokenizer_GivesWhatLlamaCppGives()
    {
        string? peer = Environment.GetEnvironmentVariable("LAMINA_PARITY_PEER");
        Assert.SkipWhen(peer is null, "compares with llama.cpp only under ./test --parity");
        using GgufFile original = GgufFile.Open(Environment.GetEnvironmentVariable("LAMINA_PARITY_BASE") ?? Repository.Shared("tokenizers/ggml-vocab-gpt-2.gguf"));

        string[] names = Environment.GetEnvironmentVariable("LAMINA_PARITY_RULES")?.Split(':') ?? PreTokenizerNames;
        string path = Path.Combine(Path.GetTempPath(), $"lamina-parity-{Environment.ProcessId}.gguf");
        try
        {
            int differences = 0;
            foreach (string name in names)
            {
                GgufMetadata renamed = new GgufMetadataBuilder(original.Metadata).Set("tokenizer.ggml.pre", name).Build();
                File.WriteAllBytes(path, GgufWriter.ToBytes(renamed, []));
                differences += Compare(peer!, path, name, TextsOfRule);
            }

            Assert.Equal(0, differences);
        }
        finally
        {
            File.Delete(path);
        }
    }

    // One name of each rule.
    private static readonly string[] PreTokenizerNames =
    [
        "gpt-2", "smollm", "llama-bpe", "dbrx", "qwen2", "qwen35", "ufakzeka", "bailingmoe", "seed-coder", "minicpm5", "tekken", "gpt-4o", "granite-embed-multi-97m",
        "tiny_aya", "youtu", "deepseek-llm", "deepseek-coder", "deepseek-v3", "falcon", "default", "bloom", "viking",
    ];

    private int Compare(string peer, string path, string label, int texts)
    {
        using GgufFile file = GgufFile.Open(path);
        Tokenizer tokenizer = Tokenizer.FromGguf(file.Metadata);
        (string Text, bool Special)[] cases = MakeCases(file.Metadata, texts);
        int[][] expected = AskPeer(peer, path, cases);

        int differences = 0;
        for (int i = 0; i < cases.Length; i++)
        {
            (string text, bool special) = cases[i];
            int[] found = tokenizer.Encode(text, special ? [Range.All] : null);
            if (!found.SequenceEqual(expected[i]) && differences++ < 5)
            {
                string shown = JsonSerializer.Serialize(text);
                output.WriteLine($"{label} special={special} {shown}\n  expected {string.Join(' ', expected[i])}\n  found    {string.Join(' ', found)}");
            }
        }

        output.WriteLine($"{label}: {differences} of {cases.Length} texts differ");
        return differences;
    }

    private static (string Text, bool Special)[] MakeCases(GgufMetadata metadata, int count)
    {
        IReadOnlyList<string> tokens = metadata.FindStrings("tokenizer.ggml.tokens")!;
        int[] types = metadata.FindInt32s("tokenizer.ggml.token_type") ?? [];
        string[] added = [.. Enumerable.Range(0, types.Length).Where(id => types[id] is 2 or 3 or 4).Select(id => tokens[id]).Take(400)];
        var random = new RandomText(seed: 20_26);
        var cases = new (string, bool)[count];
        for (int i = 0; i < cases.Length; i++)
        {
            cases[i] = (random.Next(added), random.NextBool());
        }

        return cases;
    }

    private static int[][] AskPeer(string peer, string vocabulary, (string Text, bool Special)[] cases)
    {
        using var process = Process.Start(new ProcessStartInfo("node", [Path.Combine(peer, "tokenize.mjs"), vocabulary])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            WorkingDirectory = peer,
        })!;
        Task<string> answer = process.StandardOutput.ReadToEndAsync();
        foreach ((string text, bool special) in cases)
        {
            process.StandardInput.WriteLine($"[{Quote(text)},{(special ? "true" : "false")}]");
        }

        process.StandardInput.Close();
        string[] lines = answer.GetAwaiter().GetResult().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        process.WaitForExit();
        Assert.Equal(cases.Length, lines.Length);
        return [.. lines.Select(line => JsonSerializer.Deserialize<int[]>(line)!)];
    }

    /// <summary>JSON in ASCII that keeps lone surrogates, which a serializer would replace.</summary>
    private static string Quote(string text) => '"' + string.Concat(text.Select(unit => $"\\u{(int)unit:x4}")) + '"';
}
