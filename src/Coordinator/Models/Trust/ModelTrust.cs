namespace Lamina.Coordinator.Models.Trust;

/// <summary>How far the origin of a model is known. It says nothing about what the model was trained to do.</summary>
public enum ModelTrust
{
    /// <summary>Nobody vouches for it.</summary>
    Untrusted,

    /// <summary>Its bytes are those whose SHA-256 the operator named.</summary>
    Verified,

    /// <summary>A key that the cell trusts has signed it.</summary>
    Trusted,
}
