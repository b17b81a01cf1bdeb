using System.Diagnostics;
using Lamina.Cli.Commands;
using Lamina.Cli.Output;
using Lamina.Cluster.Messages;

namespace Lamina.Cli.Embedded;

/// <summary>
/// Generates from random prompts and times the two halves apart: prompts by generations of a single token, decoding by the tokens that come while every stream decodes. No two
/// repetitions have a prompt in common, so the prefix cache answers only where it is meant to.
/// </summary>
internal sealed record Benchmark(int PromptTokens, int GeneratedTokens, int Repetitions, int Concurrency, int SharedPrefix)
{
    public async Task<BenchmarkResult> RunAsync(ModelSession session, CancellationToken cancellation)
    {
        List<Measurement> measured = [];
        for (int repetition = -1; repetition < Repetitions; repetition++)
        {
            Measurement measurement = await MeasureAsync(session, repetition + 1, cancellation);
            if (repetition >= 0)
            {
                measured.Add(measurement);
            }
        }

        return new BenchmarkResult(this, Median(measured, m => m.PromptSpeed), Median(measured, m => m.DecodeSpeed), Median(measured, m => m.FirstToken), session.Stages.Count)
        {
            SharedFirstTokenMilliseconds = SharedPrefix > 0 ? Median(measured, m => m.SharedFirstToken) : null,
        };
    }

    private async Task<Measurement> MeasureAsync(ModelSession session, int repetition, CancellationToken cancellation)
    {
        int[][] prompts = [.. Enumerable.Range(0, Concurrency).Select(stream => RandomTokens(session, PromptTokens, (2 * repetition * Concurrency) + stream))];

        // One token each: until the last of them comes, every step is made of prompts.
        long started = Stopwatch.GetTimestamp();
        Stream[] first = await RunAsync(session, prompts, 1, cancellation);
        double promptSeconds = Stopwatch.GetElapsedTime(started, first.Max(stream => stream.LastAt)).TotalSeconds;
        double firstToken = Stopwatch.GetElapsedTime(started, first[0].FirstAt).TotalMilliseconds;

        // The same prompts again: the prefix cache holds most of them, so that the streams begin to decode almost together.
        Stream[] streams = await RunAsync(session, prompts, GeneratedTokens + 1, cancellation);
        long allDecode = streams.Max(stream => stream.FirstAt);
        long oneEnded = streams.Min(stream => stream.LastAt);
        if (oneEnded <= allDecode)
        {
            throw new CommandException($"{GeneratedTokens} tokens are too few to measure {Concurrency} streams at once: the first ended before the last began; raise -n");
        }

        double decodeSpeed = streams.Sum(stream => stream.CountBetween(allDecode, oneEnded)) / Stopwatch.GetElapsedTime(allDecode, oneEnded).TotalSeconds;
        double sharedFirstToken = SharedPrefix > 0 ? await SharedFirstTokenAsync(session, prompts[0], (((2 * repetition) + 1) * Concurrency), cancellation) : 0;
        return new Measurement(PromptTokens * Concurrency / promptSeconds, decodeSpeed, firstToken, sharedFirstToken);
    }

    /// <summary>Milliseconds to the first token of a prompt that begins as one seen before and ends otherwise.</summary>
    private async Task<double> SharedFirstTokenAsync(ModelSession session, int[] seen, int seed, CancellationToken cancellation)
    {
        int[] prompt = [.. seen.AsSpan(0, SharedPrefix), .. RandomTokens(session, PromptTokens - SharedPrefix, seed)];
        long started = Stopwatch.GetTimestamp();
        Stream[] streams = await RunAsync(session, [prompt], 1, cancellation);
        return Stopwatch.GetElapsedTime(started, streams[0].FirstAt).TotalMilliseconds;
    }

    private static async Task<Stream[]> RunAsync(ModelSession session, int[][] prompts, int tokens, CancellationToken cancellation)
    {
        Stream[] streams = [.. prompts.Select(_ => new Stream())];
        SamplingSettings greedy = SamplingSettings.From(new Compute.Sampling.SamplingParameters { Temperature = 0 });
        GenerationProtocol.GenerationEnded[] ended = await Task.WhenAll(prompts.Select((prompt, index) => session.GenerateAsync(
            new GenerationProtocol.Submit(session.Tenant, RunCommand.NewGeneration(), prompt, [], tokens, StopTokens: [], greedy, Priority: 0),
            streams[index].Add,
            cancellation)));
        return ended.FirstOrDefault(end => end.Outcome != GenerationOutcome.Length || end.Tokens != tokens) is { } other
            ? throw new CommandException($"a generation ended as {other.Outcome} after {other.Tokens} of {tokens} tokens {other.Reason}")
            : streams;
    }

    /// <param name="seed">Not negative: a random generator takes the magnitude.</param>
    private static int[] RandomTokens(ModelSession session, int count, int seed)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(session.Tokenizer.VocabularySize))];
    }

    private static double Median(List<Measurement> measured, Func<Measurement, double> value)
    {
        double[] values = [.. measured.Select(value).Order()];
        return values.Length % 2 == 1 ? values[values.Length / 2] : (values[(values.Length / 2) - 1] + values[values.Length / 2]) / 2;
    }

    private readonly record struct Measurement(double PromptSpeed, double DecodeSpeed, double FirstToken, double SharedFirstToken);

    private sealed class Stream
    {
        private readonly List<(long At, int Tokens)> _arrivals = [];

        public long FirstAt => _arrivals[0].At;
        public long LastAt => _arrivals[^1].At;

        public int CountBetween(long after, long until) => _arrivals.Where(arrival => arrival.At > after && arrival.At <= until).Sum(arrival => arrival.Tokens);

        public void Add(GenerationProtocol.TokensGenerated generated) => _arrivals.Add((Stopwatch.GetTimestamp(), generated.Tokens.Length));
    }
}
