namespace Lamina.TestSupport;

/// <summary>Sizes of the tests on the attack board: small within a suite, large when <c>./test --attack-board</c> asks.</summary>
internal static class AttackScale
{
    public static bool IsFull { get; } = Environment.GetEnvironmentVariable("LAMINA_ATTACK_SCALE") == "full";

    public static int Cases(int quick, int full) => IsFull ? full : quick;
}
