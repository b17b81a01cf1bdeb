namespace Lamina.Compute.Tokenization.Vocabularies;

/// <summary>Bounds on vocabularies, far above published ones, so that a hostile file cannot make loading or encoding slow.</summary>
internal static class TokenizerLimits
{
    public const int Tokens = 4 << 20;
    public const int TokenBytes = 64 << 10;

    /// <summary>Longest text of a token that is searched for in every input: control and user-defined ones.</summary>
    public const int AddedTokenBytes = 1024;

    /// <summary>All texts of such tokens together.</summary>
    public const int AddedTokensBytes = 4 << 20;

    /// <summary>Longest token of vocabularies that are matched by prefix (WordPiece, Unigram).</summary>
    public const int PrefixTokenBytes = 512;

    public const int PrefixTokensBytes = 64 << 20;
}
