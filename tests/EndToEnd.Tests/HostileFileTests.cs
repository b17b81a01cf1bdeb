using System.Diagnostics;
using System.Runtime.InteropServices;
using Lamina.Compute.Gguf;
using Lamina.Compute.Tests.Gguf;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests;

/// <summary>
/// Hostile model files given to the shipping executable, at least one of each kind. What it refuses it refuses in one sentence, exit code 1, hardly more memory than a good file
/// takes, and two seconds of the processor; what it takes it answers from within the same bounds. Within a suite the first two of each kind are tried. The variations by the
/// thousand run in the Compute suite.
/// </summary>
public sealed class HostileFileTests : IDisposable
{
    private const long MemoryBeyondAGoodFile = 64L << 20;
    private const int Attempts = 3;
    private static readonly TimeSpan s_mostProcessorTime = TimeSpan.FromSeconds(2);

    /// <summary>Commands by name, with a place for the file.</summary>
    private static readonly Dictionary<string, string[]> s_commands = new()
    {
        ["inspect"] = ["inspect", "FILE"],
        ["run"] = ["run", "FILE", "--json", "-p", "What is 27 + 15?", "-n", "4", "--temp", "0"],
        ["chat"] = ["run", "FILE", "--json", "--chat", "CHAT", "-n", "4", "--temp", "0"],
        ["tokenize"] = ["tokenize", "FILE", "a b  ab"],
    };

    private static readonly Dictionary<string, Lazy<Task<MeasuredRun>>> s_good = s_commands.Keys.ToDictionary(command => command, command => new Lazy<Task<MeasuredRun>>(() => GoodAsync(command)));
    private readonly TemporaryFolder _folder = new();

    private string File => Path.Combine(_folder.Path, "model.gguf");

    public void Dispose() => _folder.Dispose();

    [Trait("Attack", "A1")]
    [Fact]
    public Task Counts_BeyondTheFile_AreRefused() => AreRefusedAsync(
        ("run", "no bytes", []),
        ("run", "tensors: none", HostileModel.Patched(8, 0)),
        ("run", "tensors: one too few", HostileModel.Patched(8, 55)),
        ("run", "tensors: one too many", HostileModel.Patched(8, 57)),
        ("inspect", "tensors: 2^31", HostileModel.Patched(8, 1UL << 31)),
        ("run", "tensors: 2^64-1", HostileModel.Patched(8, ulong.MaxValue)),
        ("run", "keys: none", HostileModel.Patched(16, 0)),
        ("run", "keys: one too few", HostileModel.Patched(16, 30)),
        ("run", "keys: one too many", HostileModel.Patched(16, 32)),
        ("inspect", "keys: 2^40", HostileModel.Patched(16, 1UL << 40)),
        ("tokenize", "tokens: 2^62", HostileModel.Patched("tokenizer.ggml.tokens", HostileModel.ElementCount, 1UL << 62)));

    [Trait("Attack", "A2")]
    [Fact]
    public Task Strings_OfImpossibleLengthOrBytes_AreRefused() => AreRefusedAsync(
        ("inspect", "key of 2^63 bytes", HostileModel.Patched("llama.block_count", HostileModel.LengthOfName, 1UL << 63)),
        ("run", "value of 2^31 bytes", HostileModel.Patched("general.name", HostileModel.Value, 1UL << 31)),
        ("tokenize", "token of 2^64-1 bytes", HostileModel.Patched("tokenizer.ggml.tokens", HostileModel.FirstElement, ulong.MaxValue)),
        ("inspect", "tensor name of 2^32 bytes", HostileModel.Patched("output_norm.weight", HostileModel.LengthOfName, 1UL << 32)),
        ("inspect", "a key that is no UTF-8", HostileModel.PatchedByte("llama.block_coun", 0, 0xFF)),
        ("run", "a NUL in a key", HostileModel.PatchedByte("llama.block_coun", 0, 0)));

    [Trait("Attack", "A3")]
    [Fact]
    public Task Dimensions_WhoseProductWraps_AreRefused() => AreRefusedAsync(
        ("run", "2^62 columns", HostileModel.Patched("token_embd.weight", HostileModel.Columns, 1UL << 62)),
        ("inspect", "2^62 rows", HostileModel.Patched("token_embd.weight", HostileModel.Rows, 1UL << 62)),
        ("inspect", "2^56 rows, whose bytes wrap to few", HostileModel.Patched("token_embd.weight", HostileModel.Rows, 1UL << 56)),
        ("run", "no columns", HostileModel.Patched("token_embd.weight", HostileModel.Columns, 0)),
        ("inspect", "2^32-1 dimensions", HostileModel.PatchedWord("token_embd.weight", 0, uint.MaxValue)));

    [Trait("Attack", "A4")]
    [Fact]
    public Task Offsets_BeyondTheFile_AreRefused() => AreRefusedAsync(
        ("run", "at the end of the file", HostileModel.Patched("token_embd.weight", HostileModel.Offset, 4_000_000)),
        ("inspect", "2^64-32", HostileModel.Patched("token_embd.weight", HostileModel.Offset, ulong.MaxValue - 31)),
        ("run", "over another tensor", HostileModel.Patched("token_embd.weight", HostileModel.Offset, 0)),
        ("run", "unaligned", HostileModel.Patched("token_embd.weight", HostileModel.Offset, 1025)),
        ("run", "cut in the header", HostileModel.Good()[..5000]),
        ("run", "cut in the data", HostileModel.Good()[..^4096]));

    [Trait("Attack", "A5")]
    [Fact]
    public Task Metadata_OfAnotherType_IsRefused() => AreRefusedAsync(
        ("run", "architecture: a number", HostileModel.With(metadata => metadata.Set("general.architecture", 7))),
        ("run", "layers: a text", HostileModel.With(metadata => metadata.Set("llama.block_count", "6"))),
        ("run", "tokens: numbers", HostileModel.With(metadata => metadata.Set("tokenizer.ggml.tokens", new float[1024]))),
        ("tokenize", "kinds: one too few", HostileModel.With(metadata => metadata.Set("tokenizer.ggml.token_type", new int[1023]))),
        ("run", "kinds: truths", HostileModel.With(metadata => metadata.Set("tokenizer.ggml.token_type", new bool[1024]))),
        ("tokenize", "scores: texts", HostileModel.With(metadata => metadata.Set("tokenizer.ggml.scores", Enumerable.Repeat("1", 1024).ToArray()))),
        ("chat", "template: a list", HostileModel.With(metadata => metadata.Set("tokenizer.chat_template", ["a", "b"]))),
        ("inspect", "type 13", HostileModel.PatchedWord("llama.block_count", 0, 13)));

    [Trait("Attack", "A6")]
    [Fact]
    public Task Alignments_OfNoPowerOfTwoOrHuge_AreRefused() => AreRefusedAsync(
        [.. new uint[] { 0, 1, 3, 65_537, 1u << 31, uint.MaxValue }.Select(alignment => ("inspect", $"{alignment}", Aligned(alignment)))]);

    [Trait("Attack", "A7")]
    [Fact]
    public Task HyperParameters_ThatContradictTheTensors_AreRefused() => AreRefusedAsync(
        ("run", "no heads", Parameter("llama.attention.head_count", 0)),
        ("run", "twice the heads that cache", Parameter("llama.attention.head_count_kv", 8)),
        ("run", "layers: 2^32-1", Parameter("llama.block_count", uint.MaxValue)),
        ("run", "a layer more", Parameter("llama.block_count", 7)),
        ("run", "twice as wide", Parameter("llama.embedding_length", 512)),
        ("run", "feed-forward: 2^31", Parameter("llama.feed_forward_length", 1u << 31)),
        ("run", "rotated: 2^31", Parameter("llama.rope.dimension_count", 1u << 31)),
        ("run", "context: none", Parameter("llama.context_length", 0)));

    /// <summary>The file has holes: three gigabytes that take no disk.</summary>
    [Trait("Attack", "A8")]
    [Fact]
    public async Task Tensor_OfMoreThanTwoToTheThirtyFirstElements_IsRefusedWhereTheModelHasNoPlaceForIt()
    {
        byte[] head = GgufBytes.Header(1, 1).Text("general.architecture").U32(8).Text("llama").Tensor("token_embd.weight", [256, 12UL << 20], 24, 0).Pad().ToArray();
        await System.IO.File.WriteAllBytesAsync(File, head);
        using (FileStream stream = System.IO.File.OpenWrite(File))
        {
            stream.SetLength(head.Length + (256L * (12L << 20)));
        }

        await IsRefusedAsync("run", "3 * 2^30 elements");
        Assert.Contains("3,221,225,472", (await TakenAsync("inspect", "3 * 2^30 elements")).Output, StringComparison.Ordinal);
    }

    [Trait("Attack", "A10")]
    [Fact]
    public async Task Vocabularies_ThatAreNone_AreRefusedAndStrangeOnesServe()
    {
        await AreRefusedAsync(
            ("tokenize", "no tokens", HostileModel.With(metadata => metadata.Set("tokenizer.ggml.tokens", Array.Empty<string>()))),
            ("run", "a token of a megabyte", HostileModel.With(metadata => metadata.Set("tokenizer.ggml.tokens", Tokens(1024, new string('x', 1 << 20))))),
            ("run", "more tokens than rows", HostileModel.With(metadata => metadata.Set("tokenizer.ggml.tokens", Tokens(2048, "x")).Remove("tokenizer.ggml.token_type"))),
            ("tokenize", "merges of one part", HostileModel.With(metadata => metadata.Set("tokenizer.ggml.merges", ["ab"]))));
        await AreTakenAsync(
            ("run", "ids that no token has", HostileModel.With(metadata => metadata.Set("tokenizer.ggml.bos_token_id", uint.MaxValue).Set("tokenizer.ggml.eos_token_id", 1024).Set("tokenizer.ggml.add_bos_token", true))),
            ("tokenize", "merges in a circle", HostileModel.With(metadata => metadata.Set("tokenizer.ggml.merges", ["a b", "ab a", "b ab", "ab ab", "a b"]))));
    }

    [Trait("Attack", "A11")]
    [Fact]
    public async Task Text_OfAMegabyteOfOneThing_IsTokenised()
    {
        string text = Path.Combine(_folder.Path, "text");
        foreach (string unit in new[] { "a", " ", "<|im_start|>" }.Take(AttackScale.Cases(1, 3)))
        {
            await System.IO.File.WriteAllTextAsync(text, string.Concat(Enumerable.Repeat(unit, (1 << 20) / unit.Length)));
            MeasuredRun run = await WithinBoundsAsync("tokenize", unit, ["tokenize", HostileModel.GoodPath, "-f", text]);
            Assert.Equal(0, run.ExitCode);
        }
    }

    [Trait("Attack", "A12")]
    [Fact]
    public async Task Weights_NoOrdinaryNumbers_AnswerOrAreRefused()
    {
        foreach (float value in new[] { float.NaN, 1e-44f, float.PositiveInfinity, float.MaxValue }.Take(AttackScale.Cases(2, 4)))
        {
            foreach (string poisoned in new[] { "blk.0.attn_norm.weight", "output_norm.weight", "blk.5.ffn_norm.weight" }.Take(AttackScale.Cases(1, 3)))
            {
                await System.IO.File.WriteAllBytesAsync(File, HostileModel.With((name, data) => MemoryMarshal.Cast<byte, float>(name == poisoned ? data.AsSpan() : []).Fill(value)));
                await EndsAsync("run", $"{poisoned} all {value}");
            }
        }
    }

    [Trait("Attack", "A15")]
    [Fact]
    public async Task File_Mutated_AnswersOrIsRefused()
    {
        byte[] good = HostileModel.Good();
        Random random = new(20261123);
        int cases = AttackScale.Cases(4, 100);
        for (int i = 0; i < cases; i++)
        {
            byte[] mutant = [.. good];
            for (int edits = random.Next(1, 6); edits > 0; edits--)
            {
                // The header's last kilobytes hold the table of tensors, its first ones the hyper-parameters.
                int at = random.Next(3) switch { 0 => random.Next(1000), 1 => random.Next(28_000, 31_630), _ => random.Next(31_630) };
                mutant[at] = (byte)random.Next(256);
            }

            await System.IO.File.WriteAllBytesAsync(File, mutant);
            await EndsAsync(i % 2 == 0 ? "run" : "chat", $"mutant {i}");
        }
    }

    [Trait("Attack", "C1")]
    [Fact]
    public Task Templates_ThatReachOutside_AreRefused() => AreRefusedAsync(
        Template("{{ ''.__class__.__mro__[1].__subclasses__() }}"),
        Template("{{ cycler.__init__.__globals__.os.popen('id').read() }}"),
        Template("{{ lipsum|attr('__globals__') }}{{ lipsum() }}"),
        Template("{% include '/etc/passwd' %}"));

    [Trait("Attack", "C2")]
    [Fact]
    public Task Templates_WithoutEnd_AreRefused() => AreRefusedAsync(
        Template("{{ " + new string('(', 100_000) + "1" + new string(')', 100_000) + " }}"),
        Template("{{ range(10**9) }}"),
        Template("{{ 'a' * 10**9 }}"),
        Template("{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}"),
        Template("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"),
        Template("{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}"));

    /// <summary>Colours, cursor movements and lines that look like ours, in what a refusal or a report repeats.</summary>
    [Trait("Attack", "U2")]
    [Fact]
    public async Task Texts_WithControlCharacters_ReachNoTerminal()
    {
        const string Text = "x\u001b[2J\u001b]0;title\u0007\u009b31m\rlamina: all is well";
        await AreRefusedAsync(
            ("run", "architecture", HostileModel.With(metadata => metadata.Set("general.architecture", Text))),
            ("chat", "template", HostileModel.With(metadata => metadata.Set("tokenizer.chat_template", "{{ raise_exception('" + Text + "') }}"))));
        await System.IO.File.WriteAllBytesAsync(File, HostileModel.With(metadata => metadata.Set("general.name", Text)));
        string report = (await TakenAsync("inspect", "name")).Output;
        Assert.Contains("x[2J", report, StringComparison.Ordinal);
        Assert.DoesNotContain(report, letter => char.IsControl(letter) && letter != '\n');
    }

    /// <summary>A pipe would be waited for, a device read without end, and memory of the process itself says that it is a regular file; one of the kernel's lets nobody map it.</summary>
    [Trait("Attack", "D3")]
    [Trait("Attack", "A9")]
    [Fact]
    public async Task Paths_OfNoOrdinaryFile_AreRefused()
    {
        string pipe = Path.Combine(_folder.Path, "pipe"), link = Path.Combine(_folder.Path, "link");
        using (Process mkfifo = Process.Start("mkfifo", pipe))
        {
            await mkfifo.WaitForExitAsync();
        }

        System.IO.File.CreateSymbolicLink(link, "/dev/zero");
        foreach (string path in new[] { "/proc/self/mem", "/proc/self/pagemap", "/proc/kmsg", "/dev/zero", "/dev/null", pipe, link, _folder.Path, "/sys/kernel/mm/transparent_hugepage/enabled" }.Where(Path.Exists))
        {
            foreach (string command in AttackScale.IsFull ? new[] { "inspect", "run", "tokenize" } : ["inspect"])
            {
                Refused(await WithinBoundsAsync(command, path, Arguments(command, path)), path, $"{command} {path}");
            }
        }
    }

    private Task AreRefusedAsync(params (string Command, string What, byte[] File)[] cases) => EachAsync(cases, IsRefusedAsync);

    private Task AreTakenAsync(params (string Command, string What, byte[] File)[] cases) => EachAsync(cases, TakenAsync);

    private async Task EachAsync((string Command, string What, byte[] File)[] cases, Func<string, string, Task> check)
    {
        foreach ((string command, string what, byte[] file) in cases.Take(AttackScale.Cases(2, cases.Length)))
        {
            await System.IO.File.WriteAllBytesAsync(File, file);
            await check(command, what);
        }
    }

    private async Task IsRefusedAsync(string command, string what) => Refused(await WithinBoundsAsync(command, what, Arguments(command, File)), File, what);

    private async Task<MeasuredRun> TakenAsync(string command, string what)
    {
        MeasuredRun run = await WithinBoundsAsync(command, what, Arguments(command, File));
        Assert.True(run.ExitCode == 0, $"{what}: {run.Error}");
        return run;
    }

    /// <summary>One or the other.</summary>
    private async Task EndsAsync(string command, string what)
    {
        MeasuredRun run = await WithinBoundsAsync(command, what, Arguments(command, File));
        if (run.ExitCode != 0)
        {
            Refused(run, File, what);
        }
    }

    /// <summary>Nothing but a sentence that tells of no other path and of no line of code.</summary>
    private static void Refused(MeasuredRun run, string path, string what)
    {
        Assert.True(run.ExitCode == 1, $"{what}: exit code {run.ExitCode}: {run.Output}{run.Error}");
        string sentence = Assert.Single(run.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.StartsWith("lamina: ", sentence, StringComparison.Ordinal);
        Assert.InRange(sentence.Length, "lamina: ".Length + 10, 600);
        Assert.DoesNotContain("internal error", sentence, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", sentence, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", sentence, StringComparison.Ordinal);
        Assert.DoesNotMatch("(^|[^a-z0-9])/[a-z]", sentence.Replace(path, "", StringComparison.Ordinal));
        Assert.DoesNotMatch(@"\.cs\b", sentence);
        Assert.DoesNotContain(sentence, char.IsControl);
        Assert.Empty(run.Output);
    }

    /// <summary>A loaded machine slows even processor time down, so what takes too much must do so three times.</summary>
    private static async Task<MeasuredRun> WithinBoundsAsync(string command, string what, string[] arguments)
    {
        MeasuredRun good = await s_good[command].Value;
        MeasuredRun run = await MeasuredRun.OfAsync(arguments);
        for (int attempt = 1; attempt < Attempts && run.ProcessorTime > s_mostProcessorTime; attempt++)
        {
            run = await MeasuredRun.OfAsync(arguments);
        }

        Assert.True(run.ProcessorTime <= s_mostProcessorTime, $"{what}: {run.ProcessorTime} of the processor, {good.ProcessorTime} for a good file");
        Assert.True(run.PeakBytes <= good.PeakBytes + MemoryBeyondAGoodFile, $"{what}: {run.PeakBytes >> 20} MiB, {good.PeakBytes >> 20} MiB for a good file");
        return run;
    }

    private static async Task<MeasuredRun> GoodAsync(string command)
    {
        using TemporaryFolder folder = new();
        MeasuredRun run = await MeasuredRun.OfAsync(Arguments(command, HostileModel.GoodPath, folder));
        Assert.True(run.ExitCode == 0, run.Error);
        return run;
    }

    private string[] Arguments(string command, string file) => Arguments(command, file, _folder);

    private static string[] Arguments(string command, string file, TemporaryFolder folder)
    {
        string chat = Path.Combine(folder.Path, "chat.json");
        System.IO.File.WriteAllText(chat, """[{"role": "user", "content": "What is 27 + 15?"}]""");
        return [.. s_commands[command].Select(argument => argument switch { "FILE" => file, "CHAT" => chat, _ => argument })];
    }

    private static byte[] Aligned(uint alignment) => GgufBytes.Header(0, 1).Text("general.alignment").U32(4).U32(alignment).ToArray();

    private static byte[] Parameter(string key, uint value) => HostileModel.PatchedWord(key, HostileModel.Value, value);

    /// <summary>The first is the one given.</summary>
    private static string[] Tokens(int count, string first) => [.. Enumerable.Range(0, count).Select(i => i == 0 ? first : $"token{i}")];

    private static (string, string, byte[]) Template(string source) => ("chat", source[..Math.Min(60, source.Length)], HostileModel.With(metadata => metadata.Set("tokenizer.chat_template", source)));
}
