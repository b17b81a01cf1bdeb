using Lamina.Cluster.Messages;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Quantization;
using Lamina.Compute.Synthesis;
using Lamina.Node.Local;
using Lamina.Node.Tests.Support;
using static Lamina.Cluster.Messages.GenerationProtocol;

namespace Lamina.Node.Tests.Local;

public sealed class AdapterTests : IDisposable
{
    private const int Layers = 4;

    private static readonly StageSettings s_settings = new(ContextLength: 128, KvBlocks: 40, MaxSequences: 8, MaxBatchRows: 128, PrefillChunk: 32, KvType: (int)GgmlType.F16, Threads: 1);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lamina-adapter-");
    private readonly GgufFile _model;
    private readonly GgufFile[] _adapters;

    public AdapterTests()
    {
        string path = Path.Combine(_folder.FullName, "model.gguf");
        ModelSynthesizer.Write(path, new SynthesisOptions(SyntheticShape.Preset("tiny"), QuantizationMix.Q8_0, "llama", Layers));
        _model = GgufFile.Open(path);
        _adapters = [Adapter("first", 2, name => name.Contains("attn_", StringComparison.Ordinal)), Adapter("second", 3, name => name.StartsWith("blk.3", StringComparison.Ordinal))];
    }

    public void Dispose()
    {
        _model.Dispose();
        Array.ForEach(_adapters, adapter => adapter.Dispose());
        _folder.Delete(recursive: true);
    }

    [Theory, InlineData(1), InlineData(4)]
    public async Task Generations_WithDifferentAdaptersFromOnePrompt_EqualThoseAlone(int stages)
    {
        int[] prompt = [.. Enumerable.Range(0, 70).Select(i => ((i * 37) + 11) % 470)];
        AdapterSetting[]?[] choices = [null, [new(0, 1)], [new(1, 1)], [new(0, 1), new(1, 1)], [new(1, 1), new(0, 1)], [new(0, 0.5f)]];
        int[][] expected = [.. await Task.WhenAll(choices.Select(choice => AloneAsync(prompt, choice ?? [])))];
        Assert.Equal(4, new[] { expected[0], expected[1], expected[2], expected[3] }.Select(tokens => string.Join(',', tokens)).Distinct().Count());

        using LocalEngine engine = Load(stages, [.. _adapters.Select(adapter => new LocalAdapter(adapter, 1))]);
        for (int round = 0; round < 2; round++)
        {
            // The second time all find blocks of their own kind in the prefix cache.
            (int[] Tokens, GenerationEnded Ended)[] runs = await Task.WhenAll(choices.Select(choice => Generations.RunAsync(engine, Generations.Request(prompt, 20) with { Adapters = choice ?? [] })));
            Assert.Equal(expected, runs.Select(run => run.Tokens));
            Assert.All(runs, run => Assert.Equal(round * 64, run.Ended.CachedPromptTokens));
        }
    }

    [Theory, InlineData(2, 1f), InlineData(-1, 1f), InlineData(0, float.NaN)]
    public async Task Generation_WithAnAdapterThatIsNotHeld_IsRefused(int adapter, float scale)
    {
        using LocalEngine engine = Load(1, [.. _adapters.Select(file => new LocalAdapter(file, 1))]);
        (_, GenerationEnded ended) = await Generations.RunAsync(engine, Generations.Request([1, 2, 3], 2) with { Adapters = [new(adapter, scale)] });
        Assert.Equal(GenerationOutcome.Refused, ended.Outcome);
        Assert.Contains("cannot be used: the pipeline holds 2", ended.Reason, StringComparison.Ordinal);
    }

    /// <summary>On an engine of one stage that holds these adapters alone, for all that it does.</summary>
    private async Task<int[]> AloneAsync(int[] prompt, AdapterSetting[] adapters)
    {
        using LocalEngine engine = Load(1, [.. adapters.Select(adapter => new LocalAdapter(_adapters[adapter.Adapter], adapter.Scale))]);
        return (await Generations.RunAsync(engine, Generations.Request(prompt, 20))).Tokens;
    }

    private LocalEngine Load(int stages, LocalAdapter[] adapters) =>
        LocalEngine.Load(_model, s_settings, [.. Enumerable.Range(0, stages).Select(i => new LayerRange(i * Layers / stages, (i + 1) * Layers / stages))], adapters: adapters);

    private GgufFile Adapter(string name, ulong seed, Func<string, bool> changes)
    {
        string path = Path.Combine(_folder.FullName, $"{name}.gguf");
        AdapterSynthesizer.Write(path, _model, new AdapterSynthesisOptions(Strength: 1, Seed: seed), changes);
        return GgufFile.Open(path);
    }
}
