namespace Lamina.Coordinator;

/// <summary>HTTPS of the API and of the admin listener. The files are read again when they change; no restart is needed.</summary>
public sealed record TlsOptions
{
    /// <summary>PEM file: the server's certificate, then those between it and its root.</summary>
    public required string CertificatePath { get; init; }

    /// <summary>PEM file of the certificate's private key, closed to other users.</summary>
    public required string KeyPath { get; init; }

    /// <summary>PEM file of roots: callers must present a client certificate below one of them, besides their key; null = none is asked for.</summary>
    public string? ClientRootsPath { get; init; }
}
