using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Lamina.Cluster.Models;

namespace Lamina.Coordinator.Batches;

/// <summary>Values in files that only this process' user reads, written so that a crash leaves the old content or the new.</summary>
internal static class DurableFile
{
    /// <summary>Of a description or record, which holds what its caller gave it and the first problems of its input.</summary>
    private const int MaxBytes = 16 << 20;

    public static void Write<T>(StoreFolder folder, string name, T value, JsonTypeInfo<T> type) => folder.Write(name, JsonSerializer.SerializeToUtf8Bytes(value, type), durable: true);

    /// <summary>Null when the file does not hold such a value, or is no regular file.</summary>
    public static T? Read<T>(StoreFolder folder, string name, JsonTypeInfo<T> type)
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize(folder.ReadAll(name, MaxBytes), type);
        }
        catch (Exception e) when (e is JsonException or FileNotFoundException or InvalidDataException or UnexpectedFileException)
        {
            return null;
        }
    }
}
