using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Lamina.Cluster.Models;

namespace Lamina.Coordinator.Models;

/// <summary>Remembers which source file gave which manifest, so that a model is hashed once and not at every start.</summary>
/// <param name="FileSha256">Hash of the one file, where an import asked for it.</param>
internal sealed record ImportRecord(string Path, long Length, DateTime ModifiedUtc, string Digest, int Parts, string? FileSha256 = null)
{
    private const int MaxBytes = 64 << 10;

    /// <summary>Name of the record in the store: sources are told apart by a hash of their path.</summary>
    [JsonIgnore]
    public string FileName => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Path))) + ".json";

    public static ImportRecord Of(string path)
    {
        var file = new FileInfo(path);
        return file.Exists
            ? new ImportRecord(path, file.Length, file.LastWriteTimeUtc, "", 0)
            : throw new FileNotFoundException($"the model file {path} does not exist", path);
    }

    public bool IsSameSource(ImportRecord other) => Path == other.Path && Length == other.Length && ModifiedUtc == other.ModifiedUtc;

    /// <summary>Null when there is none that can be read; then the source is.</summary>
    public static ImportRecord? TryRead(StoreFolder folder, string name)
    {
        try
        {
            return JsonSerializer.Deserialize(folder.ReadAll(name, MaxBytes), ImportRecordJson.Default.ImportRecord);
        }
        catch (Exception e) when (e is IOException or JsonException or InvalidDataException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    public void Write(StoreFolder folder) => folder.Write(FileName, JsonSerializer.SerializeToUtf8Bytes(this, ImportRecordJson.Default.ImportRecord));
}

[JsonSerializable(typeof(ImportRecord))]
internal sealed partial class ImportRecordJson : JsonSerializerContext;
