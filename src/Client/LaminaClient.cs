using System.Diagnostics;
using System.Net;
using System.Runtime.CompilerServices;
using System.Text.Json.Serialization.Metadata;
using Lamina.Client.Http;

namespace Lamina.Client;

/// <summary>
/// Typed calls of one coordinator's API. Thread-safe; one instance serves a whole program. Failures are <see cref="LaminaException"/>s by class, after the retries
/// that <see cref="LaminaClientOptions"/> allows; a cancelled call throws <see cref="OperationCanceledException"/> and ends its generation at the server.
/// </summary>
public sealed class LaminaClient : IDisposable
{
    private readonly HttpClient _http;
    private readonly bool _ownsHttp;
    private readonly ApiTransport _transport;

    /// <summary>A client with connections of its own.</summary>
    public LaminaClient(LaminaClientOptions options)
        : this(options, OwnHttp(), ownsHttp: true)
    {
    }

    /// <summary>A client over the caller's <see cref="HttpClient"/>, which stays the caller's; set its <see cref="HttpClient.Timeout"/> to infinite for long streams.</summary>
    public LaminaClient(LaminaClientOptions options, HttpClient http)
        : this(options, http, ownsHttp: false)
    {
    }

    private LaminaClient(LaminaClientOptions options, HttpClient http, bool ownsHttp)
    {
        options.Validate();
        Options = options;
        _http = http;
        _ownsHttp = ownsHttp;
        _transport = new ApiTransport(http, options);
    }

    /// <summary>How this client was made.</summary>
    public LaminaClientOptions Options { get; }

    /// <summary>Answers a chat.</summary>
    public async Task<ChatCompletion> CompleteChatAsync(ChatRequest request, CancellationToken cancellation = default)
    {
        using var activity = ClientActivity.Start("chat", request.Model);
        string? key = NewKey();
        ChatCompletion completion = await _transport.SendAsync(() => _transport.Post("v1/chat/completions", request, ClientJson.Default.ChatRequest, key), ClientJson.Default.ChatCompletion, cancellation).ConfigureAwait(false);
        ClientActivity.Usage(activity, completion.Usage);
        return completion;
    }

    /// <summary>
    /// Answers a chat piece by piece; the last chunk carries the usage. Chunks are read from the connection as the caller asks for them. A lost connection is resumed
    /// without losing or repeating a chunk. Ending the enumeration early cancels the generation.
    /// </summary>
    public IAsyncEnumerable<ChatChunk> StreamChatAsync(ChatRequest request, CancellationToken cancellation = default) => StreamTracedChatAsync(request, default, cancellation);

    internal IAsyncEnumerable<ChatChunk> StreamTracedChatAsync(ChatRequest request, ActivityContext parent, CancellationToken cancellation)
    {
        ChatRequest streamed = request with { Stream = true, StreamOptions = new StreamOptions(true) };
        string? key = NewKey();
        return ChunksAsync(new GenerationStream(_transport, () => _transport.Post("v1/chat/completions", streamed, ClientJson.Default.ChatRequest, key), null, 0), request.Model, parent, cancellation);
    }

    /// <summary>
    /// Goes on with a streamed chat that this or another process began: the chunks after event <paramref name="after"/> (<see cref="ChatChunk.EventNumber"/>), as long as
    /// the server keeps them. Throws <see cref="LaminaNotFoundException"/> when it does not, or when the generation is another caller's.
    /// </summary>
    public IAsyncEnumerable<ChatChunk> ResumeChatAsync(string generation, long after, CancellationToken cancellation = default) => ResumeTracedChatAsync(generation, after, default, cancellation);

    internal IAsyncEnumerable<ChatChunk> ResumeTracedChatAsync(string generation, long after, ActivityContext parent, CancellationToken cancellation) =>
        ChunksAsync(new GenerationStream(_transport, () => GenerationStream.Events(_transport, generation, after), generation, after), null, parent, cancellation);

    /// <summary>Continues a text.</summary>
    public async Task<Completion> CompleteAsync(CompletionRequest request, CancellationToken cancellation = default)
    {
        using var activity = ClientActivity.Start("text_completion", request.Model);
        string? key = NewKey();
        Completion completion = await _transport.SendAsync(() => _transport.Post("v1/completions", request, ClientJson.Default.CompletionRequest, key), ClientJson.Default.Completion, cancellation).ConfigureAwait(false);
        ClientActivity.Usage(activity, completion.Usage);
        return completion;
    }

    /// <summary>Continues a text piece by piece, as <see cref="StreamChatAsync"/> answers a chat.</summary>
    public async IAsyncEnumerable<Completion> StreamAsync(CompletionRequest request, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        using var activity = ClientActivity.Start("text_completion", request.Model);
        CompletionRequest streamed = request with { Stream = true, StreamOptions = new StreamOptions(true) };
        string? key = NewKey();
        var stream = new GenerationStream(_transport, () => _transport.Post("v1/completions", streamed, ClientJson.Default.CompletionRequest, key), null, 0);
        await foreach (GenerationEvent happened in stream.ReadAsync(activity, cancellation).ConfigureAwait(false))
        {
            yield return ApiTransport.Read(happened.Json, ClientJson.Default.Completion) with { EventNumber = happened.Number };
        }
    }

    /// <summary>One vector per text. Throws <see cref="LaminaRequestException"/> naming <c>model</c> where the model gives no embeddings.</summary>
    public async Task<EmbeddingList> EmbedAsync(EmbeddingRequest request, CancellationToken cancellation = default)
    {
        using var activity = ClientActivity.Start("embeddings", request.Model);
        return await _transport.SendAsync(
            () => _transport.Post("v1/embeddings", request, ClientJson.Default.EmbeddingRequest, null), ClientJson.Default.EmbeddingList, cancellation).ConfigureAwait(false);
    }

    /// <summary>The models that the server knows, ready or not.</summary>
    public async Task<IReadOnlyList<ModelInfo>> ListModelsAsync(CancellationToken cancellation = default) =>
        (await GetAsync("v1/models", ClientJson.Default.ModelList, cancellation).ConfigureAwait(false)).Data;

    /// <summary>One model.</summary>
    public Task<ModelInfo> GetModelAsync(string id, CancellationToken cancellation = default) =>
        GetAsync($"v1/models/{Uri.EscapeDataString(id)}", ClientJson.Default.ModelInfo, cancellation);

    /// <summary>Whether the coordinator can be reached and every model of its is ready; one attempt, false after <paramref name="limit"/>.</summary>
    public async Task<bool> IsReadyAsync(TimeSpan limit, CancellationToken cancellation = default)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(limit);
        try
        {
            using HttpRequestMessage request = _transport.Request(HttpMethod.Get, "health/ready");
            using HttpResponseMessage response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, deadline.Token).ConfigureAwait(false);
            return response.StatusCode == HttpStatusCode.OK;
        }
        catch (Exception e) when (_transport.Failure(e, cancellation) is not null)
        {
            return false;
        }
    }

    /// <summary>Closes the connections that the client made itself.</summary>
    public void Dispose()
    {
        if (_ownsHttp)
        {
            _http.Dispose();
        }
    }

    private static HttpClient OwnHttp() =>
        new(new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.FromMinutes(5), ConnectTimeout = TimeSpan.FromSeconds(10), AutomaticDecompression = DecompressionMethods.None })
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };

    private static async IAsyncEnumerable<ChatChunk> ChunksAsync(GenerationStream stream, string? model, ActivityContext parent, [EnumeratorCancellation] CancellationToken cancellation)
    {
        using var activity = ClientActivity.Start("chat", model, parent);
        await foreach (GenerationEvent happened in stream.ReadAsync(activity, cancellation).ConfigureAwait(false))
        {
            ChatChunk chunk = ApiTransport.Read(happened.Json, ClientJson.Default.ChatChunk) with { EventNumber = happened.Number };
            ClientActivity.Usage(activity, chunk.Usage);
            yield return chunk;
        }
    }

    private string? NewKey() => Options.Resumable ? Guid.NewGuid().ToString("n") : null;

    private Task<T> GetAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken cancellation) =>
        _transport.SendAsync(() => _transport.Request(HttpMethod.Get, path), type, cancellation);
}
