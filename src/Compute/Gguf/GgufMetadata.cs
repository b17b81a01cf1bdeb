using System.Text;

namespace Lamina.Compute.Gguf;

/// <summary>
/// Typed access to a GGUF file's key/value pairs. Getters check type, element type and count together and throw
/// <see cref="InvalidDataException"/> naming the key, what was found and what was expected; the Find forms return null only when the key is absent.
/// </summary>
public sealed partial class GgufMetadata
{
    private readonly Dictionary<string, GgufValue> values;

    /// <summary>Pairs in file order; keys must differ.</summary>
    internal GgufMetadata(IReadOnlyList<KeyValuePair<string, GgufValue>> pairs)
    {
        Pairs = pairs;
        values = new Dictionary<string, GgufValue>(pairs, StringComparer.Ordinal);
        Keys = pairs.Select(pair => pair.Key).ToArray();
    }

    /// <summary>All pairs, in file order and undecoded.</summary>
    public IReadOnlyList<KeyValuePair<string, GgufValue>> Pairs { get; }

    public IReadOnlyCollection<string> Keys { get; }

    public bool Contains(string key) => values.ContainsKey(key);

    /// <summary>Null when the key is absent.</summary>
    public GgufValue? Find(string key) => values.TryGetValue(key, out GgufValue value) ? value : null;

    public string GetString(string key) => FindString(key) ?? throw Missing(key);

    public string? FindString(string key)
    {
        if (!values.TryGetValue(key, out GgufValue value))
        {
            return null;
        }

        return value.Type == GgufValueType.String ? Decode(key, value.Raw.Span) : throw Mismatch(key, value, "String");
    }

    /// <summary>An integer of any width, within the bounds given.</summary>
    public int GetInt32(string key, int min = 0, int max = int.MaxValue) => FindInt32(key, min, max) ?? throw Missing(key);

    public int? FindInt32(string key, int min = 0, int max = int.MaxValue)
    {
        if (!values.TryGetValue(key, out GgufValue value))
        {
            return null;
        }

        return GgufValueTypes.IsInteger(value.Type) ? (int)InRange(key, value.Integer(0), min, max) : throw Mismatch(key, value, "an integer");
    }

    public float GetFloat(string key) => FindFloat(key) ?? throw Missing(key);

    public float? FindFloat(string key)
    {
        if (!values.TryGetValue(key, out GgufValue value))
        {
            return null;
        }

        return value.Type is GgufValueType.Float32 or GgufValueType.Float64 ? (float)value.Real(0) : throw Mismatch(key, value, "Float32");
    }

    public bool? FindBool(string key)
    {
        if (!values.TryGetValue(key, out GgufValue value))
        {
            return null;
        }

        return value.Type == GgufValueType.Bool ? ToBool(key, value.Raw.Span[0]) : throw Mismatch(key, value, "Bool");
    }

    private static Int128 InRange(string key, Int128 found, int min, int max) =>
        found >= min && found <= max ? found : throw new InvalidDataException($"'{key}' is {found}, expected {min} to {max}");

    private static bool ToBool(string key, byte found) =>
        found <= 1 ? found == 1 : throw new InvalidDataException($"'{key}' holds byte {found} as a boolean, expected 0 or 1");

    private static string Decode(string key, ReadOnlySpan<byte> utf8)
    {
        try
        {
            return StrictUtf8.GetString(utf8);
        }
        catch (DecoderFallbackException)
        {
            throw new InvalidDataException($"'{key}' holds text that is not valid UTF-8");
        }
    }

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private static InvalidDataException Missing(string key) => new($"the file has no key '{key}'");

    private static InvalidDataException Mismatch(string key, GgufValue found, string expected) =>
        new($"'{key}' is {found.Describe()}, expected {expected}");
}
