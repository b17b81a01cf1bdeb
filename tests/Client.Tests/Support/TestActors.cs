namespace Lamina.Client.Tests.Support;

/// <summary>How actors are tested here.</summary>
internal static class TestActors
{
    /// <summary>Waits for a message as long as a busy machine may take; the kit's own three seconds are soon over there.</summary>
    public const string Patient = "akka.test.single-expect-default = 30s";
}
