import { Type } from '@vendure/core';

export interface MaillonOptions {
    /** Where maillon is: https://…, or http:// on this machine. */
    url: string;
    /** The merchant's secret key, sk_…. */
    key: string;
    /** The policy under which clients order, such as pol_3. */
    policy: string;
    /** What the shop does while maillon cannot be reached; left out, the policy says. */
    onOutage?: 'closed' | 'open';
    /** How long an answer is waited for, in milliseconds; 4000 if left out. */
    timeout?: number;
    /** Which shipping methods are pickup points, by their codes: { 'click-collect': 'Fes' }. */
    pickups?: Record<string, string>;
}

/** Cash on delivery that holds. */
export declare class MaillonPlugin {
    static init(options: MaillonOptions): Type<MaillonPlugin>;
}
