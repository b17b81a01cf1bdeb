namespace Lamina.Client;

/// <summary>A call that failed. The derived type says what a caller can do about it; the message is the server's own sentence where there is one.</summary>
public class LaminaException(string message, ApiErrorDetail? detail = null, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>What the server said; null when no answer came.</summary>
    public ApiErrorDetail? Detail { get; } = detail;

    /// <summary>HTTP status; null when no answer came.</summary>
    public int? Status => Detail?.Status;

    /// <summary>The server's short name of the error, such as <c>context_length_exceeded</c>.</summary>
    public string? Code => Detail?.Code;

    /// <summary>Name of the request's field at fault.</summary>
    public string? Param => Detail?.Param;

    /// <summary>The exception of a status, by its class.</summary>
    internal static LaminaException Of(ApiErrorDetail detail) => detail.Status switch
    {
        401 => new LaminaAuthenticationException(detail),
        403 => new LaminaPermissionException(detail),
        404 => new LaminaNotFoundException(detail),
        429 => new LaminaRateLimitException(detail),
        503 => new LaminaUnavailableException(detail),
        >= 500 => new LaminaServerException(detail),
        >= 400 => new LaminaRequestException(detail),
        _ => new LaminaException(detail.Message, detail),
    };
}

/// <summary>An error as the server reported it.</summary>
/// <param name="Status">HTTP status; 200 for an error inside a stream that had begun well.</param>
/// <param name="Type">Class of the error, such as <c>invalid_request_error</c>.</param>
/// <param name="RetryAfter">How long the server asks to wait before another attempt.</param>
public sealed record ApiErrorDetail(int Status, string Message, string? Type, string? Code, string? Param, TimeSpan? RetryAfter);

/// <summary>400, 413, 415, 422: the request itself is wrong; <see cref="LaminaException.Param"/> names the field. Repeating it does not help.</summary>
public sealed class LaminaRequestException(ApiErrorDetail detail) : LaminaException(detail.Message, detail);

/// <summary>401: no key, or one that is not known.</summary>
public sealed class LaminaAuthenticationException(ApiErrorDetail detail) : LaminaException(detail.Message, detail);

/// <summary>403: the caller may not do this.</summary>
public sealed class LaminaPermissionException(ApiErrorDetail detail) : LaminaException(detail.Message, detail);

/// <summary>404: no such model, generation or address.</summary>
public sealed class LaminaNotFoundException(ApiErrorDetail detail) : LaminaException(detail.Message, detail);

/// <summary>429 after all retries: a quota or the server's capacity is used up; <see cref="ApiErrorDetail.RetryAfter"/> says when to come back.</summary>
public sealed class LaminaRateLimitException(ApiErrorDetail detail) : LaminaException(detail.Message, detail);

/// <summary>503 after all retries: the model is loading, recovering or gone.</summary>
public sealed class LaminaUnavailableException(ApiErrorDetail detail) : LaminaException(detail.Message, detail);

/// <summary>Another 5xx after all retries, or an error that ended a stream.</summary>
public sealed class LaminaServerException(ApiErrorDetail detail) : LaminaException(detail.Message, detail);

/// <summary>No answer after all retries: the server could not be reached, the connection broke, or a time limit passed.</summary>
public sealed class LaminaConnectionException(string message, Exception? inner = null) : LaminaException(message, null, inner);

/// <summary>The server answered with something that is not its contract.</summary>
public sealed class LaminaContractException(string message, Exception? inner = null) : LaminaException(message, null, inner);
