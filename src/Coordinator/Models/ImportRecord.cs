using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Lamina.Coordinator.Models;

/// <summary>Remembers which source file gave which manifest, so that a model is hashed once and not at every start.</summary>
/// <param name="FileSha256">Hash of the one file, where an import asked for it.</param>
internal sealed record ImportRecord(string Path, long Length, DateTime ModifiedUtc, string Digest, int Parts, string? FileSha256 = null)
{
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

    public static ImportRecord? TryRead(string recordPath)
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(recordPath), ImportRecordJson.Default.ImportRecord);
        }
        catch (Exception e) when (e is IOException or JsonException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    public void Write(string recordPath)
    {
        File.WriteAllBytes(recordPath + ".partial", JsonSerializer.SerializeToUtf8Bytes(this, ImportRecordJson.Default.ImportRecord));
        File.Move(recordPath + ".partial", recordPath, overwrite: true);
    }
}

[JsonSerializable(typeof(ImportRecord))]
internal sealed partial class ImportRecordJson : JsonSerializerContext;
