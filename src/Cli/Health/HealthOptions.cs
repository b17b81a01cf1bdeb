using System.Globalization;
using System.Net;

namespace Lamina.Cli.Health;

/// <summary>Configuration of the health listener, section <c>Health</c> of <c>lamina.json</c>; without the section nothing listens.</summary>
internal sealed record HealthOptions
{
    /// <summary>
    /// ADDRESS:PORT of a listener that shows health and metrics and nothing else: no prompt, no answer, no command passes through it, so orchestrators and Prometheus
    /// may reach it from other machines. Port 0 picks a free one.
    /// </summary>
    public required string Listen { get; init; }

    /// <summary>The endpoint, or <see cref="ArgumentException"/> with one sentence.</summary>
    public IPEndPoint Endpoint()
    {
        int colon = Listen.LastIndexOf(':');
        return colon > 0
            && IPAddress.TryParse(Listen[..colon].Trim('[', ']'), out IPAddress? address)
            && ushort.TryParse(Listen.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out ushort port)
            ? new IPEndPoint(address, port)
            : throw new ArgumentException($"Health:Listen is '{Listen}', expected ADDRESS:PORT such as 127.0.0.1:9090 or 0.0.0.0:9090");
    }
}
