namespace Lamina.Compute.Gguf;

/// <summary>
/// Typed access to a GGUF file's key/value pairs. Getters check type, element type and count together and throw
/// <see cref="InvalidDataException"/> naming the key, what was found and what was expected; the Try forms return false only when the key is absent.
/// </summary>
public sealed class GgufMetadata
{
    public IReadOnlyCollection<string> Keys => throw new NotImplementedException();
    public bool Contains(string key) => throw new NotImplementedException();
    public string GetString(string key) => throw new NotImplementedException();
    public string? FindString(string key) => throw new NotImplementedException();

    /// <summary>An integer of any width, within the bounds given.</summary>
    public int GetInt32(string key, int min = 0, int max = int.MaxValue) => throw new NotImplementedException();
    public int? FindInt32(string key, int min = 0, int max = int.MaxValue) => throw new NotImplementedException();
    public float? FindFloat(string key) => throw new NotImplementedException();
    public bool? FindBool(string key) => throw new NotImplementedException();
    public IReadOnlyList<string>? FindStrings(string key) => throw new NotImplementedException();
    public float[]? FindFloats(string key) => throw new NotImplementedException();
    public int[]? FindInt32s(string key) => throw new NotImplementedException();
    public bool[]? FindBools(string key) => throw new NotImplementedException();
}
