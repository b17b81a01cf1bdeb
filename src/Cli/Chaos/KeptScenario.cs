using System.Diagnostics;
using System.Globalization;

namespace Lamina.Cli.Chaos;

/// <summary>Kept answers that are read at another coordinator than the one that makes them.</summary>
internal static class KeptScenario
{
    private const string GeneratedTokens = "lamina_generated_tokens_total{";
    private const string Unmirrored = "lamina_answers_unmirrored{";

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    /// <summary>Each stream is left after some events, while its coordinator lives, and read on at the next. The tokens that all coordinators count are those of the answers, once.</summary>
    public static async Task<(string, int)> ChangeAsync(ChaosRun run, CancellationToken cancellation)
    {
        await Scenario.WholeAsync(run, cancellation);
        long before = await GeneratedAsync(run, cancellation);
        ChaosStream[] streams = run.StartStreams(leaveAfter: run.Random.Next(1, 60), cancellation: cancellation);
        long moment = Stopwatch.GetTimestamp();
        int wrong = await run.CountWrongAsync(streams);
        run.Stalls.Add("change of coordinator", streams, moment);
        int repeats = streams.Sum(stream => stream.Repeats);
        long answered = 0;
        foreach (ChaosStream stream in streams)
        {
            answered += stream.Answer.IsCompletedSuccessfully ? (await stream.Answer).Tokens : 0;
        }

        // A coordinator that is too slow to answer another counts as gone, and its answers are rightly computed on elsewhere.
        long generated = await GeneratedAsync(run, cancellation) - before;
        bool takenOver = run.Cell.Logs.Contains("goes on here", StringComparison.Ordinal);
        return ($"{Scenario.Describe(streams, wrong, moment)}, {repeats} generations unknown elsewhere; {generated} tokens computed for {answered} answered",
            wrong + repeats + (generated == answered || takenOver ? 0 : 1));
    }

    /// <summary>Returns once every answer that a coordinator makes is known to another.</summary>
    public static async Task MirroredAsync(ChaosCell cell, Uri coordinator, CancellationToken cancellation)
    {
        long until = Environment.TickCount64 + (long)s_patience.TotalMilliseconds;
        while (await SumAsync(cell, coordinator, Unmirrored, cancellation) > 0)
        {
            if (Environment.TickCount64 > until)
            {
                throw new CommandException($"the answers of {coordinator} were never mirrored\n{cell.Logs}");
            }

            await Task.Delay(5, cancellation);
        }
    }

    private static async Task<long> GeneratedAsync(ChaosRun run, CancellationToken cancellation)
    {
        long sum = 0;
        foreach (Uri address in run.Cell.Addresses)
        {
            sum += await SumAsync(run.Cell, address, GeneratedTokens, cancellation);
        }

        return sum;
    }

    private static async Task<long> SumAsync(ChaosCell cell, Uri coordinator, string series, CancellationToken cancellation)
    {
        string text = await cell.Http.GetStringAsync(new Uri(coordinator, "metrics"), cancellation);
        return (long)text.Split('\n').Where(line => line.StartsWith(series, StringComparison.Ordinal)).Sum(line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
    }
}
