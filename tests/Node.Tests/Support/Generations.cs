using Lamina.Cluster.Messages;
using Lamina.Compute.Sampling;
using Lamina.Node.Local;

namespace Lamina.Node.Tests.Support;

/// <summary>Requests and their answers.</summary>
internal static class Generations
{
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(180);

    private static long s_ids;

    public static SamplingSettings Greedy { get; } = SamplingSettings.From(new SamplingParameters { Temperature = 0 });

    public static SamplingSettings Seeded(ulong seed) => SamplingSettings.From(new SamplingParameters { Temperature = 1.2f, TopK = 50, TopP = 0.95f, RepetitionPenalty = 1.1f, Seed = seed });

    public static GenerationProtocol.Submit Request(int[] prompt, int maxTokens, SamplingSettings? sampling = null, int[]? emitted = null, int[]? stop = null, int priority = 0) =>
        new(new TenantId("test"), new GenerationId(1, (ulong)Interlocked.Increment(ref s_ids)), prompt, emitted ?? [], maxTokens, stop ?? [], sampling ?? Greedy, priority);

    public static int[] Prompt(int seed, int length) => [.. Enumerable.Range(0, length).Select(i => (int)((uint)((i + 1) * (seed + 7) * 2654435761L) >> 8) % TinyModel.Vocabulary)];

    public static async Task<(int[] Tokens, GenerationProtocol.GenerationEnded Ended)> RunAsync(LocalEngine engine, GenerationProtocol.Submit request, CancellationToken cancellation = default, Action<int>? onToken = null)
    {
        var tokens = new List<int>();
        GenerationProtocol.GenerationEnded ended = await engine.GenerateAsync(
            request,
            report =>
            {
                Assert.Equal(request.EmittedTokens.Length + tokens.Count, report.FirstIndex);
                tokens.AddRange(report.Tokens);
                onToken?.Invoke(tokens.Count);
            },
            cancellation).WaitAsync(Deadline);
        Assert.Equal(request.EmittedTokens.Length + tokens.Count, ended.Tokens);
        return ([.. tokens], ended);
    }
}
