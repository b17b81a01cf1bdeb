using System.Text.Json.Nodes;

namespace Lamina.Cli.Chaos;

/// <summary>A steady load on a cell under test, and what it gives undisturbed: whatever happens, every stream must give that.</summary>
internal sealed class ChaosRun
{
    private readonly JsonObject[] _requests;
    private StreamAnswer[] _expected = [];

    private ChaosRun(ChaosCell cell, int streams, int tokens, int seed, Action<string> say)
    {
        Cell = cell;
        Random = new Random(seed);
        Say = say;
        _requests = [.. Enumerable.Range(0, streams).Select(number => Request(cell.ModelName, number, tokens))];
    }

    public ChaosCell Cell { get; }

    public Random Random { get; }

    public StallTable Stalls { get; } = new();

    public Action<string> Say { get; }

    public int StreamCount => _requests.Length;

    /// <summary>Asks everything once, undisturbed.</summary>
    public static async Task<ChaosRun> StartAsync(ChaosCell cell, int streams, int tokens, int seed, Action<string> say, CancellationToken cancellation)
    {
        var run = new ChaosRun(cell, streams, tokens, seed, say);
        run._expected = await Task.WhenAll(run.StartStreams(cancellation: cancellation).Select(stream => stream.Answer));
        return run;
    }

    /// <summary>One stream for each request, shared out among the coordinators.</summary>
    /// <param name="leaveAfter">Events after which each leaves its coordinator for the next.</param>
    public ChaosStream[] StartStreams(bool resume = true, int leaveAfter = int.MaxValue, CancellationToken cancellation = default) =>
        [.. _requests.Select((body, number) => ChaosStream.Start(Cell.Http, Cell.Addresses, number, body, resume, leaveAfter, cancellation))];

    /// <summary>As above; returns once each has had that many events.</summary>
    public async Task<ChaosStream[]> FlowingAsync(int events, CancellationToken cancellation)
    {
        ChaosStream[] streams = StartStreams(cancellation: cancellation);
        while (!streams.All(stream => stream.Events >= events || stream.Answer.IsCompleted))
        {
            await Task.Delay(5, cancellation);
        }

        return streams;
    }

    /// <summary>Waits for the streams' ends; the number that did not give what they give undisturbed.</summary>
    public async Task<int> CountWrongAsync(ChaosStream[] streams)
    {
        int wrong = 0;
        for (int i = 0; i < streams.Length; i++)
        {
            try
            {
                StreamAnswer answer = await streams[i].Answer;
                if (answer != _expected[i])
                {
                    wrong++;
                    Say($"stream {i} gave {answer.Tokens} tokens ({answer.Finish}), expected {_expected[i].Tokens}; they part at character {CommonLength(answer.Text, _expected[i].Text)} of {_expected[i].Text.Length}");
                }
            }
            catch (Exception e) when (e is IOException or InvalidDataException or HttpRequestException)
            {
                wrong++;
                Say($"stream {i}: {e.Message}");
            }
        }

        return wrong;
    }

    private static int CommonLength(string a, string b) => a.AsSpan().CommonPrefixLength(b);

    /// <summary>A request of a few tokens.</summary>
    public JsonObject Short(int number)
    {
        JsonObject body = Request(Cell.ModelName, number, tokens: 16);
        body.Remove("logit_bias");
        return body;
    }

    /// <summary>Half of them greedy, half sampled with a seed; what ends a text is made unlikely, so that they last.</summary>
    private static JsonObject Request(string model, int number, int tokens)
    {
        var body = new JsonObject
        {
            ["model"] = model,
            ["messages"] = new JsonArray(new JsonObject
            {
                ["role"] = "user",
                ["content"] = $"Tell me a story about a {(number % 4 < 2 ? "red fox" : "blue bird")} in the {(number % 8 < 4 ? "forest" : "garden")}, part {(number / 8) + 1}.",
            }),
            ["max_tokens"] = tokens,
            ["logit_bias"] = new JsonObject { ["2"] = -100 },
            ["temperature"] = number % 2 == 0 ? 0 : 0.9,
        };
        if (number % 2 == 1)
        {
            body["seed"] = 1000 + number;
        }

        return body;
    }
}
