using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Lamina.Cli.Commands;
using Lamina.Cluster.Messages;

namespace Lamina.Cli.Embedded;

/// <summary>Generates from random prompts and times them: the prompt by its first token, the decode by the tokens after it.</summary>
internal sealed record Benchmark(int PromptTokens, int GeneratedTokens, int Repetitions, int Concurrency)
{
    public async Task<BenchmarkResult> RunAsync(ModelSession session, CancellationToken cancellation)
    {
        List<double> prompt = [];
        List<double> decode = [];
        for (int repetition = -1; repetition < Repetitions; repetition++)
        {
            (double promptSpeed, double decodeSpeed) = await MeasureAsync(session, repetition, cancellation);
            if (repetition >= 0)
            {
                prompt.Add(promptSpeed);
                decode.Add(decodeSpeed);
            }
        }

        return new BenchmarkResult(this, Median(prompt), Median(decode), session.Stages.Count);
    }

    private async Task<(double Prompt, double Decode)> MeasureAsync(ModelSession session, int repetition, CancellationToken cancellation)
    {
        long started = Stopwatch.GetTimestamp();
        Stream[] streams = [.. Enumerable.Range(0, Concurrency).Select(_ => new Stream())];
        GenerationProtocol.GenerationEnded[] ended = await Task.WhenAll(streams.Select((stream, index) =>
            session.GenerateAsync(NewSubmit(session, (repetition * Concurrency) + index), stream.Add, cancellation)));
        if (ended.FirstOrDefault(end => end.Outcome != GenerationOutcome.Length) is { } other)
        {
            throw new CommandException($"a generation ended as {other.Outcome} after {other.Tokens} of {GeneratedTokens} tokens {other.Reason}");
        }

        // All prompts are done when the last first token comes; from then on every stream decodes.
        long firstToken = streams.Max(stream => stream.FirstAt);
        long lastToken = streams.Max(stream => stream.LastAt);
        int decoded = streams.Sum(stream => stream.CountAfter(firstToken));
        return (PromptTokens * Concurrency / Stopwatch.GetElapsedTime(started, firstToken).TotalSeconds, decoded / Stopwatch.GetElapsedTime(firstToken, lastToken).TotalSeconds);
    }

    private GenerationProtocol.Submit NewSubmit(ModelSession session, int seed)
    {
        Random random = new(seed);
        int[] prompt = [.. Enumerable.Range(0, PromptTokens).Select(_ => random.Next(session.Tokenizer.VocabularySize))];
        return new GenerationProtocol.Submit(
            session.Tenant, RunCommand.NewGeneration(), prompt, [], GeneratedTokens, StopTokens: [],
            SamplingSettings.From(new Compute.Sampling.SamplingParameters { Temperature = 0 }), Priority: 0);
    }

    private static double Median(List<double> values)
    {
        values.Sort();
        return values.Count % 2 == 1 ? values[values.Count / 2] : (values[(values.Count / 2) - 1] + values[values.Count / 2]) / 2;
    }

    private sealed class Stream
    {
        private readonly List<(long At, int Tokens)> _arrivals = [];

        public long FirstAt => _arrivals[0].At;
        public long LastAt => _arrivals[^1].At;

        public int CountAfter(long timestamp) => _arrivals.Where(arrival => arrival.At > timestamp).Sum(arrival => arrival.Tokens);

        public void Add(GenerationProtocol.TokensGenerated generated) => _arrivals.Add((Stopwatch.GetTimestamp(), generated.Tokens.Length));
    }
}

/// <summary>Medians in tokens per second, all streams together.</summary>
internal sealed record BenchmarkResult(Benchmark Settings, double PromptTokensPerSecond, double TokensPerSecond, int Stages)
{
    public string ToJson(SessionOptions options) => new JsonObject
    {
        ["promptTokensPerSecond"] = Math.Round(PromptTokensPerSecond, 2),
        ["tokensPerSecond"] = Math.Round(TokensPerSecond, 2),
        ["promptTokens"] = Settings.PromptTokens,
        ["generatedTokens"] = Settings.GeneratedTokens,
        ["repetitions"] = Settings.Repetitions,
        ["concurrency"] = Settings.Concurrency,
        ["threads"] = options.Threads,
        ["nodes"] = options.Nodes,
        ["stages"] = Stages,
    }.ToJsonString();

    public string ToText(SessionOptions options) => string.Create(CultureInfo.InvariantCulture,
        $"prompt {Settings.PromptTokens} tokens: {PromptTokensPerSecond:0.0} tokens/s\ndecode {Settings.GeneratedTokens} tokens: {TokensPerSecond:0.0} tokens/s\n({Settings.Concurrency} at a time, {options.Nodes} node(s), {(options.Threads > 0 ? $"{options.Threads} threads a stage" : "all cores")}, median of {Settings.Repetitions})");
}
