using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Api;

/// <summary>
/// An answer that is not a success, in OpenAI's body: <c>{"error":{"message","type","param","code"}}</c>. The only place that knows that body. Messages are for
/// the caller: they name fields and limits, never paths, addresses or text of prompts.
/// </summary>
public sealed record ApiError(int Status, string Type, string Code, string Message, string? Param = null, int? RetryAfterSeconds = null)
{
    public const string SuspendedCode = "suspended";
    public const string OverloadedCode = "overloaded";

    private bool IsUnread { get; init; }

    private const string InvalidRequest = "invalid_request_error";

    /// <summary>What the caller has left of its rates, told in the headers.</summary>
    internal Quotas.RateLimits? Limits { get; init; }

    public static ApiError InvalidValue(string param, string message) => new(400, InvalidRequest, "invalid_value", message, param);

    public static ApiError InvalidType(string param, string expected, string found) =>
        new(400, InvalidRequest, "invalid_type", $"'{param}' must be {expected}, not {found}", param);

    public static ApiError Missing(string param) => new(400, InvalidRequest, "missing_required_parameter", $"'{param}' is required", param);

    public static ApiError Unknown(string param) => new(400, InvalidRequest, "unknown_parameter", $"'{param}' is not a known field", param);

    public static ApiError Unsupported(string param) => new(400, InvalidRequest, "unsupported_parameter", $"'{param}' is not supported by this server", param);

    public static ApiError InvalidBody(string message) => new(400, InvalidRequest, "invalid_body", message);

    public static ApiError ContextLengthExceeded(string param, string promptTokens, int contextLength) => new(
        400, InvalidRequest, "context_length_exceeded",
        $"the prompt has {promptTokens} tokens, but the model's context is {contextLength} tokens, of which at least one must be left for the answer", param);

    public static ApiError TextTooLong(string param, int tokens, int contextLength) => new(
        400, InvalidRequest, "context_length_exceeded", $"a text has {tokens} tokens, but the model takes at most {contextLength} at once", param);

    /// <summary>Not 429: it does not help to come back.</summary>
    public static ApiError ExceedsQuota(string message) => new(400, InvalidRequest, "exceeds_quota", message);

    public static ApiError GrammarExhausted(string reason) => new(400, InvalidRequest, "grammar_exhausted", reason);

    public static ApiError ModelNotFound() => new(404, InvalidRequest, "model_not_found", "the model does not exist here; GET /v1/models lists those that do", "model");

    /// <summary>By the trust that the cell asks for, or a hash that its operator named; the operator's log and status say which.</summary>
    public static ApiError ModelRefused() => new(403, InvalidRequest, "model_refused", "the policy of this cell does not allow the model to run: what vouches for it is too little, or names another file", "model");

    public static ApiError NodeNotFound() => new(404, InvalidRequest, "node_not_found", "no node of that name is up");

    public static ApiError GenerationNotFound() => new(
        404, InvalidRequest, "generation_not_found", "the generation does not exist, is another caller's, was not started with an Idempotency-Key, or is not kept any more");

    public static ApiError ResponseNotFound(string? param) => new(
        param is null ? 404 : 400, InvalidRequest, "response_not_found", "the response does not exist, is another caller's, was not stored, or is not kept any more", param);

    public static ApiError EventsExpired(long dropped) => new(410, InvalidRequest, "events_expired", $"events up to {dropped} are not kept any more");

    public static ApiError NotStreamed() => new(400, InvalidRequest, "not_streamed", "the generation has no events: its request did not set 'stream'");

    public static ApiError IdempotencyKeyReused() => new(422, InvalidRequest, "idempotency_key_reused", "this Idempotency-Key was used for another request");

    public static ApiError GenerationCancelled() => new(409, InvalidRequest, "generation_cancelled", "the generation was cancelled");

    /// <summary>Ends what reads an answer here that another coordinator makes from now on; readers go on there and do not see it.</summary>
    public static ApiError GenerationMoved() => new(409, InvalidRequest, MovedCode, "another coordinator goes on with the generation; ask for the events after the last one that you have");

    internal const string MovedCode = "generation_moved";

    public static ApiError RouteNotFound() => new(404, InvalidRequest, "not_found", "there is nothing at this address");

    public static ApiError MethodNotAllowed(string method) => new(405, InvalidRequest, "method_not_allowed", $"{method} is not allowed at this address");

    public static ApiError BodyTooLarge(long limit) => new(413, InvalidRequest, "request_too_large", $"the request body is over the limit of {limit} bytes");

    public static ApiError UnsupportedMediaType() => new(415, InvalidRequest, "unsupported_media_type", "the request body must be application/json");

    public static ApiError Forbidden(string message) => new(403, InvalidRequest, "forbidden", message);

    public static ApiError MissingKey() => new(401, InvalidRequest, "missing_api_key", "an API key is required: send it as 'Authorization: Bearer lam_...'");

    /// <summary>One answer for a key that is wrong, unknown, expired or revoked.</summary>
    public static ApiError InvalidKey() => new(401, InvalidRequest, "invalid_api_key", "the API key is not valid");

    public static ApiError MissingScope(string message) => new(403, InvalidRequest, "insufficient_permissions", message);

    /// <param name="what">A tenant, key, model or node.</param>
    public static ApiError Suspended(string what) => new(403, InvalidRequest, SuspendedCode, $"this {what} is suspended");

    public static ApiError TenantSuspended() => new(403, InvalidRequest, "tenant_suspended", "the tenant of this API key is suspended");

    public static ApiError Overloaded(string message) => new(429, "rate_limit_error", OverloadedCode, message, RetryAfterSeconds: 2);

    /// <summary>For want of what all tenants share.</summary>
    public static ApiError Busy(string message) => new(503, "server_error", OverloadedCode, message, RetryAfterSeconds: 2);

    public static ApiError Unavailable(string message, int retryAfterSeconds = 5) =>
        new(503, "server_error", "model_not_ready", message, RetryAfterSeconds: retryAfterSeconds);

    /// <summary>An answer is of one model from its first token to its last.</summary>
    public static ApiError ModelReplaced() => new(503, "server_error", "model_replaced", "the model was replaced by another one before this answer was whole; ask again for an answer of the new one", RetryAfterSeconds: 1);

    /// <summary>For operators: a file that may not, or cannot, be taken for a deployment's model.</summary>
    public static ApiError ModelNotTaken(string problem) => new(422, InvalidRequest, "model_not_taken", problem);

    public static ApiError Internal() => new(500, "server_error", "internal_error", "the server failed to answer this request");

    /// <summary>Any other status that the server's own layers give, such as 400 for a malformed request line.</summary>
    public static ApiError OfStatus(int status, string method) => status switch
    {
        404 => RouteNotFound(),
        405 => MethodNotAllowed(method),
        413 => BodyTooLarge(ApiLimits.MaxBodyBytes),
        415 => UnsupportedMediaType(),
        >= 500 => Internal() with { Status = status },
        _ => new ApiError(status, InvalidRequest, "bad_request", "the request is malformed"),
    };

    /// <summary>The same of a request whose body was not read to its end.</summary>
    internal ApiError Unread() => this with { IsUnread = true };

    public ApiException AsException() => new(this);

    /// <summary>Answers with this error; the response must not have started.</summary>
    public async Task WriteAsync(HttpContext context)
    {
        context.Response.StatusCode = Status;
        if (RetryAfterSeconds is int seconds)
        {
            context.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        }

        Limits?.WriteTo(context.Response.Headers);
        if (IsUnread || Status == StatusCodes.Status413PayloadTooLarge)
        {
            // The rest of the body is not read, so the connection cannot be used again: the client must learn that before it tries.
            context.Response.Headers.Connection = "close";
        }

        if (Status == StatusCodes.Status401Unauthorized)
        {
            context.Response.Headers.WWWAuthenticate = "Bearer";
        }

        byte[] body = ToBody();
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }

    /// <summary>As the last event of a stream of typed events.</summary>
    public byte[] ToTypedEvent()
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("type", "error");
            json.WriteString("code", Code);
            json.WriteString("message", Message);
            json.WriteString("param", Param);
            json.WriteEndObject();
        }

        return buffer.ToArray();
    }

    public byte[] ToBody()
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteStartObject("error");
            json.WriteString("message", Message);
            json.WriteString("type", Type);
            json.WriteString("param", Param);
            json.WriteString("code", Code);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return buffer.ToArray();
    }
}

/// <summary>Ends a request with an <see cref="ApiError"/>; caught in one place.</summary>
public sealed class ApiException(ApiError error) : Exception(error.Message)
{
    public ApiError Error { get; } = error;
}
