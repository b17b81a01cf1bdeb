using System.Text.Json.Serialization;

namespace Lamina.Coordinator.Batches.Files;

/// <summary>What is kept of a file beside its content. Times are Unix seconds.</summary>
/// <param name="Purpose"><c>batch</c> for an input, <c>batch_output</c> for what a batch wrote.</param>
/// <param name="Sequence">Tells files of the same second apart, in the order in which they were made.</param>
internal sealed record StoredFile(string Id, string Name, long Bytes, long CreatedAt, long ExpiresAt, string Purpose, long Sequence)
{
    public const string InputPurpose = "batch";
    public const string OutputPurpose = "batch_output";
}

[JsonSerializable(typeof(StoredFile))]
[JsonSerializable(typeof(BatchRecord))]
[JsonSourceGenerationOptions(UseStringEnumConverter = true)]
internal sealed partial class BatchStateJson : JsonSerializerContext;
