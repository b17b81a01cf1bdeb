using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Lamina.Client.Http;

/// <summary>Sends requests, repeats those whose failure may pass, and turns refusals into exceptions.</summary>
internal sealed class ApiTransport(HttpClient http, LaminaClientOptions options)
{
    /// <summary>An error body longer than this is not an error body.</summary>
    private const int MaxErrorBytes = 64 << 10;

    private readonly RetryPolicy _retries = new(options);
    private readonly Uri _base = new(options.Endpoint.AbsoluteUri.TrimEnd('/') + "/");

    public LaminaClientOptions Options => options;

    public HttpRequestMessage Request(HttpMethod method, string path)
    {
        var request = new HttpRequestMessage(method, new Uri(_base, path));
        if (options.ApiKey is { } key)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        }

        return request;
    }

    public HttpRequestMessage Post<T>(string path, T body, JsonTypeInfo<T> type, string? idempotencyKey)
    {
        HttpRequestMessage request = Request(HttpMethod.Post, path);
        request.Content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(body, type)) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
        if (idempotencyKey is not null)
        {
            request.Headers.Add("Idempotency-Key", idempotencyKey);
        }

        return request;
    }

    /// <summary>One whole answer, after retries.</summary>
    public async Task<T> SendAsync<T>(Func<HttpRequestMessage> request, JsonTypeInfo<T> type, CancellationToken cancellation)
    {
        var attempts = new Attempts(this);
        while (true)
        {
            try
            {
                using CancellationTokenSource limit = Limit(cancellation);
                using HttpRequestMessage message = request();
                using HttpResponseMessage response = await AnsweredAsync(message, HttpCompletionOption.ResponseHeadersRead, limit.Token, cancellation).ConfigureAwait(false);
                byte[] body = await response.Content.ReadAsByteArrayAsync(limit.Token).ConfigureAwait(false);
                return Read(body, type);
            }
            catch (Exception e) when (Failure(e, cancellation) is { } failure)
            {
                await attempts.FailedAsync(failure, cancellation).ConfigureAwait(false);
            }
        }
    }

    /// <summary>One attempt that ends with a successful response, or with the exception of its refusal.</summary>
    public async Task<HttpResponseMessage> AnsweredAsync(HttpRequestMessage request, HttpCompletionOption completion, CancellationToken limit, CancellationToken cancellation)
    {
        HttpResponseMessage response = await http.SendAsync(request, completion, limit).ConfigureAwait(false);
        if (response.IsSuccessStatusCode)
        {
            return response;
        }

        using (response)
        {
            cancellation.ThrowIfCancellationRequested();
            throw LaminaException.Of(await DetailAsync(response, limit).ConfigureAwait(false));
        }
    }

    public CancellationTokenSource Limit(CancellationToken cancellation)
    {
        var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(options.ResponseTimeout);
        return limit;
    }

    /// <summary>What an attempt's exception means: a refusal as it is, trouble on the way as <see cref="LaminaConnectionException"/>; null when the caller cancelled or it is a bug.</summary>
    public LaminaException? Failure(Exception e, CancellationToken cancellation) => cancellation.IsCancellationRequested ? null : e switch
    {
        LaminaException known => known,
        OperationCanceledException => new LaminaConnectionException($"{options.Endpoint} did not answer in time", e),
        HttpRequestException or IOException => new LaminaConnectionException($"the connection to {options.Endpoint} failed: {e.Message}", e),
        _ => null,
    };

    public static T Read<T>(ReadOnlySpan<byte> json, JsonTypeInfo<T> type)
    {
        try
        {
            return JsonSerializer.Deserialize(json, type) ?? throw new LaminaContractException("the server answered with an empty body");
        }
        catch (JsonException e)
        {
            throw new LaminaContractException($"the server's answer is not the JSON that was expected: {e.Message}", e);
        }
    }

    private static async Task<ApiErrorDetail> DetailAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        int status = (int)response.StatusCode;
        TimeSpan? retryAfter = RetryPolicy.RetryAfter(response.Headers.RetryAfter, DateTimeOffset.UtcNow);
        ErrorFields? fields = null;
        if (response.Content.Headers.ContentLength is null or <= MaxErrorBytes)
        {
            try
            {
                byte[] body = await response.Content.ReadAsByteArrayAsync(cancellation).ConfigureAwait(false);
                fields = JsonSerializer.Deserialize(body, ClientJson.Default.ErrorBody)?.Error;
            }
            catch (Exception e) when (e is JsonException or HttpRequestException or IOException)
            {
                // A proxy's page, or none: the status alone says what happened.
            }
        }

        return new ApiErrorDetail(status, fields?.Message ?? $"the server answered {status} {response.ReasonPhrase}", fields?.Type, fields?.Code, fields?.Param, retryAfter);
    }

    /// <summary>Counts the failures in a row of one call and waits between its attempts.</summary>
    internal sealed class Attempts(ApiTransport transport)
    {
        private int _failed;

        public void Progress() => _failed = 0;

        /// <summary>Waits before the next attempt, or throws the failure when there is to be none.</summary>
        public async Task FailedAsync(LaminaException failure, CancellationToken cancellation)
        {
            _failed++;
            bool mayPass = failure is LaminaConnectionException || (failure.Status is int status && RetryPolicy.MayPass((HttpStatusCode)status));
            TimeSpan? delay = mayPass ? transport._retries.Delay(_failed, failure.Detail?.RetryAfter, Random.Shared.NextDouble()) : null;
            if (delay is not { } wait)
            {
                System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
                return;
            }

            await Task.Delay(wait, cancellation).ConfigureAwait(false);
        }
    }
}
