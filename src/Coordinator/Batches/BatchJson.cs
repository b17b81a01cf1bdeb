using System.Text.Json;
using Lamina.Coordinator.Batches.Files;

namespace Lamina.Coordinator.Batches;

/// <summary>OpenAI's objects for files, batches and lists of them.</summary>
internal static class BatchJson
{
    public static string Text(BatchStatus status) => status switch
    {
        BatchStatus.InProgress => "in_progress",
        _ => status.ToString().ToLowerInvariant(),
    };

    public static void Write(Utf8JsonWriter json, StoredFile file)
    {
        json.WriteStartObject();
        json.WriteString("id", file.Id);
        json.WriteString("object", "file");
        json.WriteNumber("bytes", file.Bytes);
        json.WriteNumber("created_at", file.CreatedAt);
        json.WriteNumber("expires_at", file.ExpiresAt);
        json.WriteString("filename", file.Name);
        json.WriteString("purpose", file.Purpose);
        json.WriteString("status", "processed");
        json.WriteEndObject();
    }

    public static void Write(Utf8JsonWriter json, BatchRecord batch)
    {
        json.WriteStartObject();
        json.WriteString("id", batch.Id);
        json.WriteString("object", "batch");
        json.WriteString("endpoint", batch.Endpoint);
        WriteProblems(json, batch.Problems);
        json.WriteString("input_file_id", batch.InputFileId);
        json.WriteString("completion_window", BatchRecord.Window);
        json.WriteString("status", Text(batch.Status));
        json.WriteString("output_file_id", batch.OutputFileId);
        json.WriteString("error_file_id", batch.ErrorFileId);
        json.WriteNumber("created_at", batch.CreatedAt);
        WriteTime(json, "in_progress_at", batch.InProgressAt);
        json.WriteNumber("expires_at", batch.ExpiresAt);
        WriteTime(json, "finalizing_at", batch.FinalizingAt);
        WriteTime(json, "completed_at", batch.CompletedAt);
        WriteTime(json, "failed_at", batch.FailedAt);
        WriteTime(json, "expired_at", batch.ExpiredAt);
        WriteTime(json, "cancelling_at", batch.CancellingAt);
        WriteTime(json, "cancelled_at", batch.CancelledAt);
        json.WriteStartObject("request_counts");
        json.WriteNumber("total", batch.Counts.Total);
        json.WriteNumber("completed", batch.Counts.Completed);
        json.WriteNumber("failed", batch.Counts.Failed);
        json.WriteEndObject();
        WriteMetadata(json, batch.Metadata);
        json.WriteEndObject();
    }

    public static void WriteList<T>(Utf8JsonWriter json, Page<T> page, Action<Utf8JsonWriter, T> write)
    {
        json.WriteStartObject();
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        foreach (T item in page.Items)
        {
            write(json, item);
        }

        json.WriteEndArray();
        json.WriteString("first_id", page.FirstId);
        json.WriteString("last_id", page.LastId);
        json.WriteBoolean("has_more", page.HasMore);
        json.WriteEndObject();
    }

    private static void WriteProblems(Utf8JsonWriter json, IReadOnlyList<BatchProblem> problems)
    {
        if (problems.Count == 0)
        {
            json.WriteNull("errors");
            return;
        }

        json.WriteStartObject("errors");
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        foreach (BatchProblem problem in problems)
        {
            json.WriteStartObject();
            json.WriteString("code", problem.Code);
            json.WriteString("message", problem.Message);
            json.WriteString("param", problem.Param);
            json.WritePropertyName("line");
            if (problem.Line is int line)
            {
                json.WriteNumberValue(line);
            }
            else
            {
                json.WriteNullValue();
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteMetadata(Utf8JsonWriter json, IReadOnlyDictionary<string, string>? metadata)
    {
        if (metadata is null)
        {
            json.WriteNull("metadata");
            return;
        }

        json.WriteStartObject("metadata");
        foreach ((string name, string value) in metadata)
        {
            json.WriteString(name, value);
        }

        json.WriteEndObject();
    }

    private static void WriteTime(Utf8JsonWriter json, string name, long? seconds)
    {
        if (seconds is long time)
        {
            json.WriteNumber(name, time);
        }
        else
        {
            json.WriteNull(name);
        }
    }
}
