using Lamina.Coordinator.Api;

namespace Lamina.Coordinator.Batches;

/// <summary>Refusals of files and batches.</summary>
internal static class BatchErrors
{
    private const string InvalidRequest = "invalid_request_error";

    public static ApiException FileNotFound() => new(new ApiError(404, InvalidRequest, "file_not_found", "the file does not exist here; GET /v1/files lists those that do", "file_id"));

    public static ApiException BatchNotFound() => new(new ApiError(404, InvalidRequest, "batch_not_found", "the batch does not exist here; GET /v1/batches lists those that do", "batch_id"));

    public static ApiException FileInUse(string batch) => new(new ApiError(409, InvalidRequest, "file_in_use", $"the file is the input of {batch}, which has not ended", "file_id"));

    public static ApiException NotRunning(string status) => new(new ApiError(409, InvalidRequest, "batch_not_running", $"the batch is {status} and cannot be cancelled any more"));

    public static ApiException TooManyOpen(int limit) =>
        new(new ApiError(429, "rate_limit_error", "too_many_batches", $"{limit} batches have not ended yet; no more are taken until one has", RetryAfterSeconds: 30));

    public static ApiException StorageFull(long limit) => new(new ApiError(413, InvalidRequest, "storage_full", $"the files would take more than the {limit} bytes that this tenant may keep; delete some", "file"));

    public static ApiException TooManyFiles(int limit) => new(new ApiError(413, InvalidRequest, "too_many_files", $"{limit} files are kept already; delete some", "file"));

    public static ApiException FileTooLarge(long limit) => new(new ApiError(413, InvalidRequest, "file_too_large", $"the file is over the limit of {limit} bytes", "file"));

    public static ApiException NotMultipart() => new(new ApiError(415, InvalidRequest, "unsupported_media_type", "the request body must be multipart/form-data"));

    public static ApiException Malformed(string message) => new(ApiError.InvalidBody(message));

    public static ApiException Invalid(string param, string message) => new(ApiError.InvalidValue(param, message));

    public static ApiException Unavailable() => new(ApiError.Unavailable("files and batches are served by another coordinator that holds this store", 30) with { Code = "batches_unavailable" });
}
