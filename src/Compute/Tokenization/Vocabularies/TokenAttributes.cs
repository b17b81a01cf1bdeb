namespace Lamina.Compute.Tokenization.Vocabularies;

/// <summary>What a token is; the file gives one kind, some models need more.</summary>
[Flags]
internal enum TokenAttributes : byte
{
    /// <summary>Neither in input nor in output.</summary>
    None = 0,
    Normal = 1,
    Unknown = 2,
    Control = 4,

    /// <summary>Matches its text anywhere in the input, before merges.</summary>
    UserDefined = 8,
    Byte = 16,

    /// <summary>Only trusted text yields this token.</summary>
    TrustedOnly = 32,

    /// <summary>White space before it is dropped from the input.</summary>
    StripLeft = 64,

    /// <summary>White space after it is dropped from the input.</summary>
    StripRight = 128,
}
