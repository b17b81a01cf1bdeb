using System.Text.Json;
using System.Text.Json.Serialization;
using Lamina.Cluster.Processes;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Templates;
using Lamina.Compute.Tokenization;

namespace Lamina.Coordinator.Models.Sandbox;

/// <summary>
/// Parses all that a coordinator will parse of a model file: header, shape, vocabulary, chat template. Meant for a child process that first gives up what it does not need, so
/// that a file which breaks a parser breaks nothing else. The answer names the bytes that were parsed.
/// </summary>
public static class ModelCheck
{
    /// <summary>Managed heap of the child; its native memory is bounded by the process limit above it.</summary>
    public const long HeapBytes = 1L << 30;
    private const long DataBytes = 2L << 30;
    private const int ProcessorSeconds = 120;

    /// <summary>Takes away memory, network and programs, then parses; for the child's main.</summary>
    /// <returns>One line of JSON, a <see cref="ModelCheckResult"/>.</returns>
    public static string Run(string path)
    {
        bool memory = ProcessLimits.Shrink(DataBytes, ProcessorSeconds);
        bool doors = ProcessLimits.CloseDoors();
        ModelCheckResult result;
        try
        {
            result = new ModelCheckResult(Parse(path), null, memory, doors);
        }
        catch (Exception e) when (e is InvalidDataException or NotSupportedException or IOException or UnauthorizedAccessException or TemplateException or OutOfMemoryException or OverflowException)
        {
            result = new ModelCheckResult(null, e is OutOfMemoryException ? $"its header needs more than the {HeapBytes} bytes that an untrusted model may take" : e.Message, memory, doors);
        }

        return JsonSerializer.Serialize(result, ModelCheckJson.Default.ModelCheckResult);
    }

    /// <summary>Throws with one sentence what a coordinator could not use; returns the header's hash.</summary>
    internal static string Parse(string path)
    {
        using GgufPart part = GgufPart.OpenSingle(path);
        GgufMetadata metadata = part.Header.Metadata;
        if ((metadata.FindInt32("split.no") ?? 0) == 0)
        {
            ModelShape.FromGguf(metadata);
            Tokenizer tokenizer = Tokenizer.FromGguf(metadata);
            ChatPrompt.FromMetadata(metadata, tokenizer);
        }

        return FileHash.Of(part.Handle, part.Header.DataOffset, CancellationToken.None);
    }
}

/// <param name="HeaderSha256">Of the bytes that were parsed; null when they were refused.</param>
/// <param name="MemoryLimited">Whether the limits on memory, time and files held.</param>
/// <param name="DoorsClosed">Whether sockets and programs were out of reach.</param>
public sealed record ModelCheckResult(string? HeaderSha256, string? Problem, bool MemoryLimited, bool DoorsClosed);

[JsonSerializable(typeof(ModelCheckResult))]
internal sealed partial class ModelCheckJson : JsonSerializerContext;
