using System.Security.Cryptography;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Responses;
using Lamina.Coordinator.Api.Resumption;

namespace Lamina.Coordinator.Batches;

/// <summary>Checks a request's body on a caller's behalf and prepares its answer, as the endpoint itself does.</summary>
internal delegate PendingAnswer BeginAnswer(Caller caller, ReadOnlyMemory<byte> body, int priority);

/// <summary>The same for a line of a batch.</summary>
/// <param name="line">Names it among all lines of the tenant's batches, and is the same when it is run again.</param>
internal delegate PendingAnswer BeginLine(Caller caller, ReadOnlyMemory<byte> body, int priority, string line);

/// <summary>What one request of a batch got.</summary>
/// <param name="Settle">To be called once the line is on disk, or cannot be put there.</param>
internal sealed record LineAnswer(int Status, string RequestId, byte[] Body, int? RetryAfterSeconds, Action<bool>? Settle = null)
{
    /// <summary>Behind every interactive generation, whose priority is 0.</summary>
    public const int Priority = -1;

    /// <summary>Whether the same request may succeed later, as far as the server can tell: it is overloaded, or the model is not ready.</summary>
    public bool MayPass => Status is 429 or 503 || IsSuspended;

    /// <summary>Something that it needs is suspended: it waits until that is lifted.</summary>
    public bool IsSuspended { get; init; }

    public bool Failed => Status >= 400;

    public static async Task<LineAnswer> OfAsync(BeginLine begin, Caller caller, ReadOnlyMemory<byte> body, string line, CancellationToken cancellation)
    {
        string id = "";
        Action<bool>? settle = null;
        try
        {
            if (body.Length > ApiLimits.MaxBodyBytes)
            {
                throw ApiError.BodyTooLarge(ApiLimits.MaxBodyBytes).AsException();
            }

            PendingAnswer answer = begin(caller, body, Priority, line);
            (id, settle) = (answer.Id, answer.Settle);
            if (answer.Stream)
            {
                throw ApiError.InvalidValue("stream", "'stream' cannot be true in a batch").AsException();
            }

            byte[] whole = [];
            await foreach (byte[] json in answer.Run(cancellation))
            {
                whole = json;
            }

            cancellation.ThrowIfCancellationRequested();
            return new LineAnswer(200, id, whole, null, settle);
        }
        catch (Exception e) when (e is not ApiException)
        {
            settle?.Invoke(false);
            throw;
        }
        catch (ApiException e)
        {
            settle?.Invoke(false);
            return new LineAnswer(e.Error.Status, id, e.Error.ToBody(), e.Error.RetryAfterSeconds) { IsSuspended = e.Error.Code == ApiError.SuspendedCode };
        }
    }

    /// <summary>The line of the output or error file.</summary>
    public byte[] ToLine(string customId) => JsonBody.Of(json =>
    {
        json.WriteStartObject();
        json.WriteString("id", NewId());
        json.WriteString("custom_id", customId);
        json.WriteStartObject("response");
        json.WriteNumber("status_code", Status);
        json.WriteString("request_id", RequestId);
        json.WritePropertyName("body");
        json.WriteRawValue(Body);
        json.WriteEndObject();
        json.WriteNull("error");
        json.WriteEndObject();
    });

    /// <summary>The error of a request that the end of the window left without an answer.</summary>
    public static byte[] ExpiredLine(string customId) => JsonBody.Of(json =>
    {
        json.WriteStartObject();
        json.WriteString("id", NewId());
        json.WriteString("custom_id", customId);
        json.WriteNull("response");
        json.WriteStartObject("error");
        json.WriteString("code", "batch_expired");
        json.WriteString("message", "the request could not be answered before the completion window ended");
        json.WriteEndObject();
        json.WriteEndObject();
    });

    private static string NewId() => "batch_req_" + RandomNumberGenerator.GetHexString(24, lowercase: true);
}
