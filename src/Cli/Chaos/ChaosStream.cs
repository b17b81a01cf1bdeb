using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Text;
using System.Text.Json.Nodes;

namespace Lamina.Cli.Chaos;

/// <summary>What a stream came to.</summary>
/// <param name="Tokens">As the server counted them.</param>
internal sealed record StreamAnswer(string Text, string? Finish, int Tokens);

/// <summary>
/// A streamed answer with the time of each of its events. When its connection breaks it goes on at another coordinator, by the generation's id after the last event that it has; where
/// that is not known, by repeating the request.
/// </summary>
internal sealed class ChaosStream
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(180);
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(100);

    private readonly List<long> _times = [];
    private readonly StringBuilder _text = new();
    private readonly string _key = Guid.NewGuid().ToString("n");
    private string? _finish;
    private string _lastEvent = "";
    private string? _generation;
    private int _leaveAfter;
    private int _tokens;

    private ChaosStream(HttpClient http, IReadOnlyList<Uri> addresses, int first, JsonObject body, bool resume, int leaveAfter, CancellationToken cancellation)
    {
        _leaveAfter = leaveAfter;
        First = addresses[first];
        body["stream"] = true;
        body["stream_options"] = new JsonObject { ["include_usage"] = true };
        Answer = Task.Run(() => RunAsync(http, addresses, first, body, resume, cancellation), cancellation);
    }

    /// <summary>The coordinator that it began at.</summary>
    public Uri First { get; }

    public Task<StreamAnswer> Answer { get; }

    /// <summary>Connections that broke under it.</summary>
    public int Cuts { get; private set; }

    /// <summary>Times that no coordinator knew the generation by its id, so that the request was repeated.</summary>
    public int Repeats { get; private set; }

    public int Events
    {
        get
        {
            lock (_times)
            {
                return _times.Count;
            }
        }
    }

    /// <param name="resume">Whether it goes on elsewhere when its connection breaks.</param>
    /// <param name="leaveAfter">Events after which it breaks its connection itself, once.</param>
    public static ChaosStream Start(HttpClient http, IReadOnlyList<Uri> addresses, int first, JsonObject body, bool resume = true, int leaveAfter = int.MaxValue, CancellationToken cancellation = default) =>
        new(http, addresses, first % addresses.Count, body.DeepClone().AsObject(), resume, leaveAfter, cancellation);

    /// <summary>Longest time without an event that ends after the moment, the wait for the first one from then on included; zero when the stream had ended before.</summary>
    public TimeSpan LongestGapAfter(long moment)
    {
        lock (_times)
        {
            return Enumerable.Range(1, Math.Max(0, _times.Count - 1)).Where(i => _times[i] > moment)
                .Select(i => Stopwatch.GetElapsedTime(_times[i - 1], _times[i])).Append(_times.Count > 0 && _times[0] > moment ? Stopwatch.GetElapsedTime(moment, _times[0]) : default).Max();
        }
    }

    private async Task<StreamAnswer> RunAsync(HttpClient http, IReadOnlyList<Uri> addresses, int first, JsonObject body, bool resume, CancellationToken cancellation)
    {
        string trouble = "";
        long until = Environment.TickCount64 + (long)s_patience.TotalMilliseconds;
        for (int attempt = 0; Environment.TickCount64 < until; attempt++)
        {
            try
            {
                if (await ReadAsync(http, addresses[(first + attempt) % addresses.Count], body, cancellation))
                {
                    return new StreamAnswer(_text.ToString(), _finish, _tokens);
                }

                trouble = "the stream ended without [DONE]";
            }
            catch (Exception e) when (e is HttpRequestException or IOException)
            {
                trouble = e.Message;
            }

            if (!resume)
            {
                break;
            }

            // One that was refused before it began has lost nothing: whoever balances load sends it elsewhere.
            Cuts += _lastEvent.Length > 0 ? 1 : 0;
            await Task.Delay(s_pause, cancellation);
        }

        throw new IOException($"the stream did not go on after event {_lastEvent}: {trouble}");
    }

    /// <summary>True when the stream came to its end; false when it broke off.</summary>
    private async Task<bool> ReadAsync(HttpClient http, Uri address, JsonObject body, CancellationToken cancellation)
    {
        bool byId = _generation is not null && _lastEvent.Length > 0;
        using HttpRequestMessage request = byId
            ? new(HttpMethod.Get, new Uri(address, $"v1/generations/{_generation}/events"))
            : new(HttpMethod.Post, new Uri(address, "v1/chat/completions")) { Content = JsonContent.Create(body), Headers = { { "Idempotency-Key", _key } } };
        if (_lastEvent.Length > 0)
        {
            request.Headers.Add("Last-Event-ID", _lastEvent);
        }

        using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
        if (byId && response.StatusCode == HttpStatusCode.NotFound)
        {
            Repeats++;
            _generation = null;
            return false;
        }

        if (response.StatusCode is HttpStatusCode.ServiceUnavailable or HttpStatusCode.TooManyRequests)
        {
            return false;
        }

        if (!response.IsSuccessStatusCode)
        {
            throw new InvalidDataException($"status {(int)response.StatusCode}: {await response.Content.ReadAsStringAsync(cancellation)}");
        }

        _generation = response.Headers.TryGetValues("X-Lamina-Generation", out IEnumerable<string>? ids) ? ids.First() : null;
        SseParser<string> events = SseParser.Create(await response.Content.ReadAsStreamAsync(cancellation));
        await foreach (SseItem<string> item in events.EnumerateAsync(cancellation))
        {
            lock (_times)
            {
                _times.Add(Stopwatch.GetTimestamp());
            }

            if (item.Data == "[DONE]")
            {
                return true;
            }

            Take(JsonNode.Parse(item.Data)!, item.Data);
            _lastEvent = events.LastEventId;
            if (--_leaveAfter == 0)
            {
                return false;
            }
        }

        return false;
    }

    private void Take(JsonNode json, string data)
    {
        if (json["choices"] is not JsonArray choices)
        {
            // The pipeline was lost for good, or the coordinator is going: the connection says so instead of breaking.
            throw new HttpRequestException($"an event without choices: {data}");
        }

        foreach (JsonNode? choice in choices)
        {
            _text.Append(choice!["delta"]?["content"]?.GetValue<string>());
            _finish = choice["finish_reason"]?.GetValue<string>() ?? _finish;
        }

        _tokens = json["usage"]?["completion_tokens"]?.GetValue<int>() ?? _tokens;
    }
}
