namespace Lamina.Compute.Gguf;

/// <summary>Upper bounds on what a GGUF header may claim, far above any published model, so that a hostile file cannot make its reader allocate or loop.</summary>
public sealed record GgufLimits
{
    public static GgufLimits Default { get; } = new();

    public int KeyValues { get; init; } = 65_536;
    public int Tensors { get; init; } = 65_536;
    public int KeyBytes { get; init; } = 65_536;

    /// <summary>The format allows 64 bytes.</summary>
    public int TensorNameBytes { get; init; } = 64;

    /// <summary>A single string value, such as a chat template.</summary>
    public int StringBytes { get; init; } = 16 << 20;

    /// <summary>A string inside an array, such as a token.</summary>
    public int ArrayStringBytes { get; init; } = 1 << 20;

    public int ArrayElements { get; init; } = 16 << 20;

    /// <summary>Key/value pairs and tensor table together.</summary>
    public int HeaderBytes { get; init; } = 1 << 30;

    public int Alignment { get; init; } = 65_536;

    /// <summary>Files of one split model.</summary>
    public int Parts { get; init; } = 1024;
}
